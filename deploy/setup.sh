#!/bin/sh
# Sets up .venv from the lock files, and the Debian parts that are missing and may be installed.
# Usage: sh deploy/setup.sh run|test
set -eu
cd "$(dirname "$0")/.."
purpose=${1:?usage: setup.sh run|test}

say() { printf 'setup: %s\n' "$*"; }

# part PACKAGE PROBE WHAT-GOES-ON-WITHOUT-IT
part() {
    if sh -c "$2" >/dev/null 2>&1; then return 0; fi
    missing="$missing $1"
    notes="$notes
setup:   $1 is missing; without it $3. To get it: apt-get install $1"
}

have_zbar='ldconfig -p 2>/dev/null | grep -q "libzbar\.so\.0" || ls /usr/lib/*/libzbar.so.0'
missing=""; notes=""
check_parts() {
    missing=""; notes=""
    part libzbar0 "$have_zbar" "the last rung of the QR ladder is off (a few hard photographs stay unread)"
    if [ "$purpose" = test ]; then
        part wrk "command -v wrk" "the HTTP benchmark prints valid:false"
        part chromium "command -v chromium || command -v chromium-browser || command -v google-chrome" \
            "the tests that open pages in a browser are skipped"
        part postgresql "ls /usr/lib/postgresql/*/bin/postgres" \
            "the platform is tested on SQLite only"
        part redis-server "command -v redis-server" "the tests with Redis are skipped"
        part fonts-wqy-microhei "fc-list :lang=zh | grep -q ." "screenshots show no Chinese"
        part prometheus "command -v prometheus && command -v promtool" \
            "the tests of dashboards and alerts are skipped"
        part systemd "command -v systemd-analyze" "the units' hardening isn't looked at"
    fi
}

check_parts
if [ -n "$missing" ] && command -v apt-get >/dev/null 2>&1; then
    root=""
    if [ "$(id -u)" = 0 ]; then root="env"; elif sudo -n true 2>/dev/null; then root="sudo -n env"; fi
    if [ -n "$root" ]; then
        say "installing Debian parts:$missing"
        # shellcheck disable=SC2086
        { $root DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null 2>&1 || true
          $root DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing \
              >var-apt.log 2>&1 || { say "apt-get failed:"; tail -n 3 var-apt.log; }
          rm -f var-apt.log; }
        check_parts
    fi
fi
if [ -n "$missing" ]; then printf '%s\n' "${notes#?}"; fi

if [ ! -x .venv/bin/python ]; then
    python=""
    for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        say "Python 3.11 or newer with venv is needed (Debian: apt-get install python3 python3-venv)" >&2
        exit 1
    fi
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

lock=requirements.lock
if [ "$purpose" = test ]; then lock=requirements-test.lock; fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
say "installing the locked packages (some 450 MB on a new machine, a minute or two)"
pip install -q --no-deps --require-hashes -r requirements-build.lock
pip install -q --no-deps --require-hashes --no-build-isolation -r "$lock"
if ! pip install -q --no-deps --no-build-isolation --no-index -e . >.venv/editable.log 2>&1; then
    cat .venv/editable.log >&2
    exit 1
fi
touch .venv/.run
if [ "$purpose" = test ]; then touch .venv/.test; fi
say "ready"
