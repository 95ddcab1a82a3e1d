#!/bin/sh
# Renews the lock files: versions and hashes for every supported Python, no addresses.
set -eu
cd "$(dirname "$0")/.."
lock() {
    out=$1; shift
    .venv/bin/uv pip compile -q --universal --generate-hashes --no-annotate --no-header \
        --python-version 3.11 --override deploy/lock-overrides.txt -o "$out" "$@"
}
lock requirements.lock pyproject.toml
lock requirements-test.lock --extra test --extra bench --extra loadtest pyproject.toml
lock requirements-build.lock deploy/build-requirements.txt
