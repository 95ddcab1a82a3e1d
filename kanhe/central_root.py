"""`kanhe central root show|rotate`: the root of the feed, by hand and beside its keys.

- What was drafted is judged by the rules of a node before it is put down.
- The platform isn't asked: whoever may sign the next root need not be on the network.
"""

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson

from central.config import load_central_config
from edge.errors import ConfigError, KeyFileError, StoreError


def add_root_commands(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    group = nouns.add_parser("root", help="the root that every node is pinned to")
    verbs = group.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("show", help="say which version holds, whose keys it names, until when")
    show.set_defaults(run=run_show)
    rotate = verbs.add_parser(
        "rotate", help="make and sign the next root; restart every platform process after it")
    rotate.add_argument("--renew", action="append", default=[], metavar="ROLE",
                        help="give this role a new key (several times for several roles)")
    rotate.add_argument("--signer", action="append", default=[], type=Path, metavar="FILE",
                        help="a present root key (default: keys/root.key)")
    rotate.add_argument("--root-key", action="append", default=[], type=Path, metavar="FILE",
                        help="a root key from now on, made if it isn't there (default: as before)")
    rotate.add_argument("--threshold", type=int, default=1, metavar="N",
                        help="how many of --root-key a root needs from now on")
    rotate.set_defaults(run=run_rotate)
    for command in (show, rotate):
        command.add_argument("--config", type=Path, metavar="FILE", help="TOML file")


def run_show(args: argparse.Namespace) -> int:
    """Say what the newest root is."""
    from central.keys import PlatformKeys
    from central.roots import load_roots

    config = load_central_config(args.config, os.environ)
    folder = _platform(config.data_dir)
    _say("root", load_roots(folder, PlatformKeys(folder / "keys"), config.log, 0)[-1], {})
    return 0


def run_rotate(args: argparse.Namespace) -> int:
    """Make the next root and put it down.

    Raises:
        ConfigError: A role or file isn't there, or a node wouldn't believe the draft.
        OperatingError: It can't be written; the root of before holds on.
    """
    from central.keys import ROLES, PlatformKeys, load_signing_key
    from central.roots import Rotation, draft_root, load_roots, put_root, root_of
    from edge.sync.envelope import Refusal
    from edge.sync.rules import Mark, RootOfTrust

    config = load_central_config(args.config, os.environ)
    folder = _platform(config.data_dir)
    for role in args.renew:
        if role not in ROLES:
            raise ConfigError(f"--renew {role}: one of {', '.join(ROLES)} (the root: --root-key)")
    keys = PlatformKeys(folder / "keys")
    before = load_roots(folder, keys, config.log, 0)[-1]
    signers = args.signer or [keys.root_path]
    for path in signers:
        if not path.is_file():
            raise KeyFileError(f"{path} isn't there: say where the root's key is with --signer")
    after = draft_root(before, keys, Rotation(
        renew=frozenset(args.renew), signers=tuple(map(load_signing_key, signers)),
        root_keys=tuple(map(load_signing_key, args.root_key)), threshold=args.threshold,
    ), int(time.time()))
    try:
        RootOfTrust.restored(before, node_id="", mark=Mark()).rotated(after)
    except Refusal as error:
        raise ConfigError(f"no node would believe this root: {error}") from error
    try:
        put_root(folder, before, after)
        gone = keys.forget(root_of(after))
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from error
    _say("root_rotated", after, {"removed": gone})
    sys.stderr.write(
        "restart every process of the platform, with this `root.envelope` and `keys` folder; codes "
        "for new nodes that were made before are void\n")
    return 0


def _platform(folder: Path) -> Path:
    from central.roots import ROOT_FILE

    if not (folder / ROOT_FILE).is_file():
        raise ConfigError(f"{folder} is no platform's data folder: say --config")
    return folder


def _say(event: str, envelope: bytes, more: dict[str, object]) -> None:
    from msgspec import msgpack

    from central.roots import root_of
    from edge.protocol.feed import Envelope, root_fingerprint

    root = root_of(envelope)
    sys.stdout.buffer.write(orjson.dumps({
        "event": event, "version": root.version,
        "fingerprint": root_fingerprint(msgpack.decode(envelope, type=Envelope).body),
        "expires": datetime.fromtimestamp(root.expires_s, UTC).date().isoformat(),
        "roles": {name: {"threshold": role.threshold, "keys": role.key_ids}
                  for name, role in sorted(root.roles.items())},
        **more,
    }) + b"\n")
    sys.stdout.flush()
