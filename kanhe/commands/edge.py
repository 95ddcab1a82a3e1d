"""`kanhe edge …`: run a node, enrol it, explain its configuration."""

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from pathlib import Path

import msgspec
import orjson
import uvloop

from edge.config import EdgeConfig, load_config
from edge.logs import set_up_logs
from kanhe.progress import show_progress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `edge run`, `edge enrol` and `edge check-config`."""
    parser = subparsers.add_parser("edge", help="the verification node")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser("run", help="run the node until it is told to stop")
    run.set_defaults(run=run_edge)
    enrol = actions.add_parser("enrol", help="make this node known to a central platform")
    enrol.add_argument("--url", required=True, help="address of the central platform")
    enrol.add_argument("--code", required=True, help="one-time code of an administrator")
    enrol.add_argument("--name", default="node", help="what the node calls itself")
    enrol.set_defaults(run=run_enrol)
    check = actions.add_parser("check-config", help="explain a configuration")
    check.set_defaults(run=run_check_config)
    for action in (run, enrol, check):
        action.add_argument("--config", type=Path, metavar="FILE", help="TOML file")


def run_check_config(args: argparse.Namespace) -> int:
    """Print the configuration as it would be used."""
    config = load_config(args.config, os.environ)
    tree = msgspec.to_builtins(config, enc_hook=str)
    sys.stdout.buffer.write(orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n")
    return 0


def run_edge(args: argparse.Namespace) -> int:
    """Run the node."""
    config = _prepare(args)
    from edge.app import run_node  # numba's cache folder is set before it is imported

    def ready(url: str) -> None:
        sys.stdout.buffer.write(orjson.dumps({"event": "ready", "url": url}) + b"\n")
        sys.stdout.flush()

    # Thousands of gates may keep a connection each; the soft limit is often only 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await run_node(config, ready, stop, show_progress)

    uvloop.run(main())
    return 0


def run_enrol(args: argparse.Namespace) -> int:
    """Enrol the node."""
    config = _prepare(args)
    from edge.app import META_CENTRAL_URL, open_store
    from edge.sync.client import CentralClient
    from edge.sync.enrol import enrol

    async def main() -> str:
        key, store = open_store(config)
        client = CentralClient(args.url)
        try:
            enrolment = await enrol(
                client, store, code=args.code, name=args.name, sign_public=key.sign_public,
                seal_public=key.seal_public,
            )
            store.apply((), 0, {META_CENTRAL_URL: args.url.encode()})
        finally:
            await client.close()
            store.close()
        return enrolment.node_id

    node_id = uvloop.run(main())
    sys.stdout.buffer.write(orjson.dumps({"event": "enrolled", "node_id": node_id}) + b"\n")
    return 0


def _prepare(args: argparse.Namespace) -> EdgeConfig:
    config = load_config(args.config, os.environ)
    set_up_logs(config.log_level)
    os.environ.setdefault("NUMBA_CACHE_DIR", str((config.packs_folder / "kernels").resolve()))
    logging.getLogger("numba").setLevel(logging.WARNING)
    return config
