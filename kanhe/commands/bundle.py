"""`kanhe bundle …`: feed, keys and packs to a site without a network, its journal back, by file.

- `export`, `take-journal`, `admit` run at the platform, on its data folder; it may be running.
- `request`, `join`, `import`, `journal` run at the node, which is stopped: one process at a time
  believes and writes.
- Answers are JSON lines; a refusal is one sentence and exit code 1, and nothing is changed.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import orjson

from edge.errors import ConfigError, OperatingError

SMALL_BYTES_MAX = 64 * 1024
DAY_S = 86_400


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the actions of `bundle`."""
    parser = subparsers.add_parser("bundle", help="serve a site that has no network, by files")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser("export", help="platform: what a node lacks, into a file")
    export.add_argument("--node", required=True, metavar="ID")
    export.add_argument("--from", dest="first", type=int, default=None, metavar="CURSOR",
                        help="first change; default: what the node last said it lacks, else 0")
    export.add_argument("--days", type=int, default=30, help="how long it may be brought")
    export.add_argument("--pack", action="append", default=[], metavar="ID",
                        help="a face pack to go along; may be repeated")
    export.set_defaults(run=run_export)
    take = actions.add_parser("take-journal", help="platform: take a node's journal file in")
    take.set_defaults(run=run_take_journal)
    admit = actions.add_parser("admit", help="platform: enrol a node by its request file")
    admit.set_defaults(run=run_admit)
    request = actions.add_parser("request", help="node: ask to be enrolled, by a file")
    request.add_argument("--name", default="node", help="what the node calls itself")
    request.set_defaults(run=run_request)
    join = actions.add_parser("join", help="node: take up the platform's answer")
    join.add_argument("--root", required=True, metavar="FINGERPRINT",
                      help="of the platform's root, as its administrator reads it out")
    join.add_argument("--name", default="node", help="what the node calls itself")
    join.set_defaults(run=run_join)
    bring = actions.add_parser("import", help="node: check a bundle whole, then believe it")
    bring.set_defaults(run=run_import)
    journal = actions.add_parser("journal", help="node: what the platform lacks, into a file")
    journal.set_defaults(run=run_journal)
    for action in (take, admit, join, bring):
        action.add_argument("file", type=Path, metavar="FILE")
    for action in (export, admit, request, journal):
        action.add_argument("--out", type=Path, required=True, metavar="FILE")
    for action in actions.choices.values():
        action.add_argument("--config", type=Path, metavar="FILE", help="TOML file")


def run_export(args: argparse.Namespace) -> int:
    """Write a bundle for one node."""
    from central.bundle import export
    from edge.models.shelf import find_pack
    from kanhe.platform_folder import open_site

    async def _main() -> object:
        async with open_site(args.config) as (site, config):
            packs = [find_pack(config.packs_folder, pack) for pack in args.pack]
            with _written(args.out) as out:
                return await export(
                    site, out, args.node, first=args.first, life_s=args.days * DAY_S, packs=packs)

    return _say("exported", asyncio.run(_main()), bytes=args.out.stat().st_size)


def run_take_journal(args: argparse.Namespace) -> int:
    """Take a node's journal file in."""
    from central.bundle import take_journal
    from kanhe.platform_folder import open_site

    async def _main() -> object:
        async with open_site(args.config) as (site, _):
            with _opened(args.file) as file:
                return await take_journal(site.database, file)

    return _say("taken", asyncio.run(_main()))


def run_admit(args: argparse.Namespace) -> int:
    """Enrol a node by its request; say both fingerprints, to be compared by another way."""
    from central.admission import admit
    from edge.protocol.bundle import JoinRequest
    from edge.protocol.feed import Envelope, root_fingerprint
    from kanhe.platform_folder import open_site

    data = _small(args.file)

    async def _main() -> dict[str, str]:
        async with open_site(args.config) as (site, _):
            answer = await admit(site.database, site.roots[-1], site.log, data)
            with _written(args.out) as out:
                out.write(msgspec.json.encode(answer))
        root = msgspec.msgpack.decode(answer.root, type=Envelope).body
        request = msgspec.json.decode(data, type=JoinRequest)
        return {"node_id": answer.node_id, "request": request.fingerprint,
                "root": root_fingerprint(root)}

    return _say("admitted", asyncio.run(_main()))


def run_request(args: argparse.Namespace) -> int:
    """Write a request to be enrolled."""
    from edge.config import load_config
    from edge.node_key import load_or_create_node_key
    from edge.sync.join import make_request

    config = load_config(args.config, os.environ)
    key = load_or_create_node_key(config.data_dir / "node.key")
    request = make_request(args.name, key.signing, key.seal_public)
    with _written(args.out) as out:
        out.write(msgspec.json.encode(request))
    return _say("requested", {"request": request.fingerprint})


def run_join(args: argparse.Namespace) -> int:
    """Take up the platform's answer."""
    from edge.config import load_config
    from edge.parts import META_CENTRAL_URL, NO_NETWORK, open_store
    from edge.sync.join import join

    answer = _small(args.file)
    _, store = open_store(load_config(args.config, os.environ))
    try:
        enrolment = join(store, answer, fingerprint=args.root, name=args.name,
                         more={META_CENTRAL_URL: NO_NETWORK.encode()})
    finally:
        store.close()
    return _say("joined", {"node_id": enrolment.node_id})


def run_import(args: argparse.Namespace) -> int:
    """Check a bundle whole, then believe it."""
    from kanhe.brought_packs import BroughtPacks
    from kanhe.node_folder import bring_bundle, open_node_folder

    with _opened(args.file) as file, open_node_folder(args.config) as folder:
        brought = asyncio.run(bring_bundle(
            folder, file, BroughtPacks(folder.config.packs_folder), time.time))
    return _say("imported", brought)


def run_journal(args: argparse.Namespace) -> int:
    """Write what the platform doesn't hold of the journal, and how the node is."""
    from edge.sync.journal_file import write_journal_file
    from kanhe.node_folder import open_node_folder

    with open_node_folder(args.config) as folder, _written(args.out) as out:
        head = write_journal_file(
            out, folder.journal, folder.key.signing, node_id=folder.node_id,
            report=folder.report(time.time()), at_s=int(time.time()))
    return _say("written", {"first": head.first, "size": head.size, "cursor": head.report.cursor})


def _say(event: str, what: object, **more: object) -> int:
    line = {"event": event, **msgspec.to_builtins(what), **more}
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    with file:
        yield file


def _small(path: Path) -> bytes:
    with _opened(path) as file:
        data = file.read(SMALL_BYTES_MAX + 1)
    if len(data) > SMALL_BYTES_MAX:
        raise ConfigError(f"{path} is too large to be what is asked for")
    return data


@contextlib.contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """Write a file beside its place, for its owner only, and put it there when it is whole."""
    part = path.with_name(path.name + ".part")
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OperatingError(f"{path}: {error.strerror or error}") from error
