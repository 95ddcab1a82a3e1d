"""`kanhe edge …`: run a node, enrol it, explain its configuration."""

import argparse
import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

import orjson
import uvloop

from edge.access.tls import client_context
from edge.config import ENV_PREFIX, EdgeConfig, check_edge, load_config
from edge.errors import ConfigError
from edge.front import accounts_of, wire_of
from edge.logs import set_up_logs
from edge.node_key import create_secret
from kanhe.accounts import add_account_arguments, keep_account
from kanhe.authority import add_authority_arguments, show_authority
from kanhe.clock_word import vouch
from kanhe.findings import show_findings
from kanhe.progress import show_progress


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the actions of `edge`."""
    parser = subparsers.add_parser("edge", help="the verification node")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser("run", help="run the node until it is told to stop")
    run.set_defaults(run=run_edge)
    run.add_argument("--workers", type=int, metavar="N",
                     help="processes that share the port; overrides workers.processes")
    enrol = actions.add_parser("enrol", help="make this node known to a central platform")
    enrol.add_argument("link", nargs="?", help="what the administrator's page gives, whole")
    enrol.add_argument("--url", default="", help="address of the central platform")
    enrol.add_argument("--code", default="", help="one-time code of an administrator")
    enrol.add_argument("--authority", default="", metavar="PIN",
                       help="fingerprint of the platform's local authority (SHA-256, hex)")
    enrol.add_argument("--name", default="node", help="what the node calls itself")
    enrol.set_defaults(run=run_enrol)
    check = actions.add_parser("check-config", help="explain a configuration")
    check.set_defaults(run=run_check_config)
    run.add_argument("--insecure", action="store_true",
                     help="serve clear HTTP, beyond loopback too: everybody there can listen")
    authority = actions.add_parser("authority", help="the local authority that devices install")
    add_authority_arguments(authority)
    authority.set_defaults(run=run_authority)
    account = actions.add_parser("account", help="who signs in to this node's pages")
    add_account_arguments(account)
    account.set_defaults(run=run_account)
    renew = actions.add_parser(
        "renew-references", help="protect every reference anew, so that a stolen copy is of no use")
    renew.set_defaults(run=run_renew_references)
    site_key = actions.add_parser(
        "site-key", help="make the key that the nodes of one site share, for [redis] key_file")
    site_key.add_argument("file", type=Path, metavar="FILE")
    site_key.set_defaults(run=run_site_key)
    clock = actions.add_parser(
        "vouch-clock", help="say that this machine's clock is right, where nothing else can")
    clock.add_argument("--time", required=True, metavar="TIME", help="what a clock that you trust "
                       "says now, with offset: 2026-11-24T12:34:56+08:00")
    clock.set_defaults(run=run_vouch_clock)
    for action in (run, enrol, check, account, renew, clock):
        action.add_argument("--config", type=Path, metavar="FILE", help="TOML file")


def run_check_config(args: argparse.Namespace) -> int:
    """Explain what is wrong; print the configuration as it would be used if nothing is."""
    config = load_config(args.config, os.environ)
    return show_findings(check_edge(config), config)


def run_edge(args: argparse.Namespace) -> int:
    """Run the node."""
    environ = dict(os.environ)
    if args.workers is not None:
        environ[ENV_PREFIX + "WORKERS__PROCESSES"] = str(args.workers)
    config = _prepare(args, environ)
    from edge.running import run_node  # numba's cache folder is set before it is imported

    def ready(url: str) -> None:
        """Print the line that says where it listens."""
        sys.stdout.buffer.write(orjson.dumps({"event": "ready", "url": url}) + b"\n")
        sys.stdout.flush()

    # Thousands of gates may keep a connection each; the soft limit is often only 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def main() -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await run_node(config, ready, stop, show_progress, insecure=args.insecure)

    uvloop.run(main())
    return 0


def run_enrol(args: argparse.Namespace) -> int:
    """Enrol the node."""
    url, code, pin = read_link(args.link) if args.link else (args.url, args.code, args.authority)
    if not url or not code:
        raise ConfigError("give the whole link of the administrator's page, or --url and --code")
    config = _prepare(args)
    from edge.parts import META_CENTRAL_AUTHORITY, META_CENTRAL_URL, open_store
    from edge.sync.client import CentralClient
    from edge.sync.enrol import enrol, learn_authority

    async def main() -> str:
        """Enrol, and give the id."""
        pem = await learn_authority(url, pin) if pin else None
        if pem is None and config.central.authority is not None:
            pem = config.central.authority.read_bytes()
        tls = client_context(pem) if url.startswith("https:") else None
        key, store = open_store(config)
        client = CentralClient(url, tls=tls)
        try:
            enrolment = await enrol(
                client, store, code=code, name=args.name, sign_public=key.sign_public,
                seal_public=key.seal_public,
            )
            known = {META_CENTRAL_URL: url.encode()}
            if pem is not None:
                known[META_CENTRAL_AUTHORITY] = pem
            store.apply((), 0, known)
        finally:
            await client.close()
            store.close()
        return enrolment.node_id

    node_id = uvloop.run(main())
    sys.stdout.buffer.write(orjson.dumps({"event": "enrolled", "node_id": node_id}) + b"\n")
    return 0


def run_renew_references(args: argparse.Namespace) -> int:
    """Bring all references to a new generation; the node must be stopped, nothing else is needed.

    Raises:
        OperatingError: Nothing was changed; the message says why.
    """
    config = _prepare(args)
    from edge.parts import open_store

    if not (config.data_dir / "cache").is_dir():
        raise ConfigError(f"{config.data_dir} is no node's data folder: say --config")
    _, store = open_store(config)
    try:
        count = store.renew_references(show_progress)
        line = {"event": "references_renewed", "references": count, "generation": store.generation}
    finally:
        store.close()
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0


def run_vouch_clock(args: argparse.Namespace) -> int:
    """Put down an administrator's word about the time; a running node reads it in seconds."""
    ahead = vouch(load_config(args.config, os.environ).data_dir, args.time)
    line = {"event": "clock_vouched", "ahead_s": round(ahead, 1)}
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    return 0


def read_link(link: str) -> tuple[str, str, str]:
    """Take an enrolment link apart: address, code, the authority's fingerprint or nothing.

    Raises:
        ConfigError: It isn't one.
    """
    address, _, rest = link.partition("/#")
    parts = parse_qs(rest)
    if not address.startswith(("https://", "http://")) or "code" not in parts:
        raise ConfigError("this isn't an enrolment link: copy the whole of it, in quotes")
    return address, parts["code"][0], parts.get("authority", [""])[0]


def run_authority(args: argparse.Namespace) -> int:
    """Show the local authority: its fingerprint, and where devices install it from."""
    config = load_config(args.config, os.environ)
    return show_authority(wire_of(config, insecure=False), config.listen.port, args.out)


def run_account(args: argparse.Namespace) -> int:
    """Add an account, or give it a new password."""
    config = load_config(args.config, os.environ)
    account = asyncio.run(keep_account(accounts_of(config), args))
    sys.stdout.buffer.write(orjson.dumps({"name": account.name, "role": account.role}) + b"\n")
    return 0


def run_site_key(args: argparse.Namespace) -> int:
    """Make a site's key; one that is there is never replaced."""
    if args.file.exists():
        raise ConfigError(f"{args.file} is there already: copy it to the site's other nodes")
    create_secret(args.file)
    sys.stdout.buffer.write(orjson.dumps({"event": "made", "file": str(args.file)}) + b"\n")
    return 0


def _prepare(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> EdgeConfig:
    config = load_config(args.config, environ)
    set_up_logs(config.log_level)
    os.environ.setdefault("NUMBA_CACHE_DIR", str((config.packs_folder / "kernels").resolve()))
    logging.getLogger("numba").setLevel(logging.WARNING)
    return config
