"""`kanhe central …`: run the platform, and what an administrator does by hand.

- Everything but `run` is a call to the running platform, with the administrator's token.
- Answers are printed as JSON lines; a refusal is one sentence and exit code 1.
"""

import argparse
import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import orjson
import uvloop

from central.config import CentralConfig, check_central, load_central_config
from edge.access.tls import client_context
from edge.errors import CentralError, ConfigError
from edge.logs import set_up_logs
from kanhe.accounts import add_account_arguments, read_password
from kanhe.authority import add_authority_arguments, show_authority
from kanhe.central_calls import ADMIN, NOUNS, REQUIRED, Call, read_file
from kanhe.central_data import add_data_commands
from kanhe.central_root import add_root_commands
from kanhe.findings import show_findings
from kanhe.progress import show_progress

CALL_S_MAX = 60.0
JOB_LOOK_S = 0.5


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `central run` and the administrator's commands."""
    parser = subparsers.add_parser("central", help="the central platform")
    nouns = parser.add_subparsers(dest="noun", required=True, metavar="NOUN")
    run = nouns.add_parser("run", help="run the platform until it is told to stop")
    run.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    run.add_argument("--insecure", action="store_true",
                     help="serve clear HTTP, beyond loopback too: everybody there can listen")
    run.set_defaults(run=run_platform)
    authority = nouns.add_parser("authority", help="the local authority that devices install")
    add_authority_arguments(authority)
    authority.set_defaults(run=run_authority)
    check = nouns.add_parser("check-config", help="explain a configuration")
    check.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    check.set_defaults(run=run_check_config)
    account = nouns.add_parser("account", help="who signs in to the platform's pages")
    add_account_arguments(account)
    _add_reach(account)
    account.set_defaults(run=run_account)
    references = nouns.add_parser("references", help="references of a face pack")
    for verb in ("make", "drop"):
        command = _verbs_of(references).add_parser(verb, help=f"{verb} those of a pack")
        command.add_argument("--pack", required=True, help="id of the pack")
        _add_reach(command)
        command.set_defaults(run=run_references)
    add_data_commands(nouns)
    add_root_commands(nouns)
    for noun, verb, words, positional, options, make in ADMIN:
        group = nouns.choices.get(noun) or nouns.add_parser(noun, help=NOUNS[noun])
        verbs = _verbs_of(group)
        command = verbs.add_parser(verb, help=words)
        for name in positional:
            command.add_argument(name)
        for name in options:
            command.add_argument(f"--{name}", default="", required=name in REQUIRED)
        _add_reach(command)
        command.set_defaults(run=_admin_runner(make))


def _add_reach(command: argparse.ArgumentParser) -> None:
    keys = CentralConfig().data_dir / "keys"
    command.add_argument("--url", default="http://127.0.0.1:8090")
    command.add_argument("--token-file", type=Path, default=keys / "admin.token")
    command.add_argument("--authority", type=Path, metavar="FILE",
                         help="certificate (PEM) of the platform's local authority")


def run_authority(args: argparse.Namespace) -> int:
    """Show the local authority: its fingerprint, and where devices install it from."""
    from central.app import wire_of

    config = load_central_config(args.config)
    return show_authority(wire_of(config, insecure=False), config.port, args.out)
def run_check_config(args: argparse.Namespace) -> int:
    """Explain what is wrong; print the configuration as it would be used if nothing is."""
    config = load_central_config(args.config, os.environ)
    return show_findings(check_central(config), config.without_secrets())


def run_account(args: argparse.Namespace) -> int:
    """Add an account, or set its password and role."""
    if args.role is None:
        raise ConfigError("say --role")
    body = {"name": args.name, "role": args.role, "password": read_password()}
    return _admin_runner(lambda _: ("POST", "/v1/accounts", orjson.dumps(body)))(args)


def _verbs_of(
    group: argparse.ArgumentParser,
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    for action in group._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action
    return group.add_subparsers(dest="verb", required=True, metavar="VERB")


def run_platform(args: argparse.Namespace) -> int:
    """Run the platform."""
    config = load_central_config(args.config, os.environ)
    set_up_logs(config.log_level)
    os.environ.setdefault("NUMBA_CACHE_DIR", str((config.packs_folder / "kernels").resolve()))
    from central.app import run_central
    from edge.models.convert import PACK_ID, ensure_default_pack
    from edge.models.engine import FaceEngine
    from edge.models.shelf import find_pack

    def open_pack(pack: str) -> FaceEngine:
        """Open a pack by id; the default one is made if need be."""
        if pack == PACK_ID:
            return FaceEngine(ensure_default_pack(config.packs_folder, show_progress))
        return FaceEngine(find_pack(config.packs_folder, pack))

    face = open_pack(config.face_pack)

    def ready(url: str) -> None:
        """Print the line that says where it listens."""
        line = {"event": "ready", "url": url,
                "admin_token_file": str(config.data_dir / "keys" / "admin.token")}
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
        sys.stdout.flush()

    async def main() -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        await run_central(config, face, ready, stop, insecure=args.insecure,
                          open_pack=open_pack)

    uvloop.run(main())
    return 0


def run_references(args: argparse.Namespace) -> int:
    """Make or drop the references of a pack and wait until that is done."""
    path = f"/v1/references/{quote(args.pack, safe='')}/{args.verb}"
    token = read_file(str(args.token_file)).decode("ascii", "replace").strip()
    authority = args.authority.read_bytes() if args.authority else None

    async def main() -> bytes:
        """Start the job and look at it until it ends."""
        ask = functools.partial(call, args.url, token, authority=authority)
        await ask("POST", path, b"")
        while True:
            job = orjson.loads(await ask("GET", "/v1/references", b""))["job"]
            show_progress(job["done"], job["total"], f"{job['act']} {job['pack']}")
            if job["state"] != "running":
                return orjson.dumps(job)
            await asyncio.sleep(JOB_LOOK_S)

    answer = asyncio.run(main())
    sys.stdout.buffer.write(answer + b"\n")
    return 0 if orjson.loads(answer)["state"] == "done" else 1


def _admin_runner(
    make: Callable[[argparse.Namespace], Call],
) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        """Call, and print the answer."""
        token = read_file(str(args.token_file)).decode("ascii", "replace").strip()
        sys.stdout.buffer.write(asyncio.run(
            call(args.url, token, *make(args),
                 authority=args.authority.read_bytes() if args.authority else None)) + b"\n")
        return 0

    return run


async def call(
    url: str, token: str, method: str, path: str, body: bytes, *, authority: bytes | None = None
) -> bytes:
    """Make one administrator's call; over https whom to believe, else the system's roots.

    Raises:
        CentralError: It failed or was refused; the platform's words are in the message.
    """
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(CALL_S_MAX)
    believed = client_context(authority) if authority else True
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(
                method, url.rstrip("/") + path, data=body or None,
                ssl=believed,
            ) as response,
        ):
            answer = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CentralError(f"{url} can't be reached: is the platform running?") from error
    if response.status >= 400:
        try:
            detail = str(orjson.loads(answer)["detail"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            detail = f"status {response.status}"
        raise CentralError(f"refused: {detail}")
    return answer
