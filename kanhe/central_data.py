"""`kanhe central migrate|backup|restore|generate-city`: the platform's data, by hand.

- The database's packages are imported by the command that needs them, not by every `kanhe`.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

import orjson

from central.config import load_central_config
from central.migrations import HEAD
from edge.errors import StoreError
from kanhe.progress import show_progress

LEAP = 10_000


def add_data_commands(nouns: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    up = nouns.add_parser("migrate", help="bring the database to this version's schema")
    up.add_argument("--to", default=HEAD, metavar="SCHEMA", help=f"another schema than {HEAD}")
    up.set_defaults(run=run_migrate)
    backup = nouns.add_parser(
        "backup", help="write database and keys into one file; the platform may be running")
    backup.add_argument("file", type=Path, metavar="FILE")
    backup.set_defaults(run=run_backup)
    restore = nouns.add_parser("restore", help="restore a platform into an empty data folder")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--leap", type=int, default=LEAP, metavar="N",
                         help="feed numbers to leave out: more than changes were made since the "
                              "backup (default: %(default)s)")
    restore.set_defaults(run=run_restore)
    for command in (up, backup, restore):
        command.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    city = nouns.add_parser("generate-city", help="a made-up city, to measure with")
    city.add_argument("--holders", type=int, required=True, metavar="N",
                      help="each with a face and three credentials")
    city.add_argument("--folder", type=Path, required=True, metavar="DIR",
                      help="data folder of the platform; must be new or empty")
    city.set_defaults(run=run_generate_city)


def run_generate_city(args: argparse.Namespace) -> int:
    """Make a city up."""
    from kanhe.made_up_city import generate_city

    asyncio.run(generate_city(args.folder, args.holders, show_progress))
    return 0


def run_migrate(args: argparse.Namespace) -> int:
    """Bring the database to a schema."""
    from sqlalchemy.exc import SQLAlchemyError

    from central.engine import open_engine, parse_address
    from central.upgrade import migrate

    config = load_central_config(args.config, os.environ)
    engine = open_engine(parse_address(config.database_address), 1)
    try:
        before, after, copy = migrate(engine, args.to)
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be opened: {type(error).__name__}") from error
    finally:
        engine.dispose()
    _say({"event": "migrated", "from": before, "to": after, "copy": str(copy) if copy else None})
    return 0


def run_backup(args: argparse.Namespace) -> int:
    """Write a backup."""
    from central.backup import make_backup

    manifest = make_backup(load_central_config(args.config, os.environ), args.file, time.time)
    _say({"event": "backed_up", "file": str(args.file), "bytes": args.file.stat().st_size,
          "head": manifest.head, "schema": manifest.schema})
    sys.stderr.write(f"{args.file} holds every key of the platform: keep it as you keep keys\n")
    return 0


def run_restore(args: argparse.Namespace) -> int:
    """Restore a backup."""
    from central.backup import restore_backup

    manifest = restore_backup(load_central_config(args.config, os.environ), args.file, args.leap)
    _say({"event": "restored", "made_s": manifest.made_s, "head_then": manifest.head,
          "schema": manifest.schema})
    sys.stderr.write(
        "what was changed since the backup is forgotten here: nodes ship their journals again and "
        "go on; revoke and grant again what was revoked and granted since\n")
    return 0


def _say(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.flush()
