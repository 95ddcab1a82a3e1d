"""`kanhe loadtest data` and `city`: what `python -m loadtest` needs, made on a platform of tests.

- `data` fills a platform that runs; `city` starts a platform and a node of its own on loopback,
  fills them, and stays up until interrupted.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import orjson

from edge.errors import ConfigError, OperatingError

if TYPE_CHECKING:
    from kanhe.demo.city import City
    from kanhe.demo.crowd import Call, Size

HELD_WITHIN_S = 120.0
POLL_S = 0.5


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `loadtest data` and `loadtest city`."""
    parser = subparsers.add_parser("loadtest", help="make what a load test needs")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    data = actions.add_parser("data", help="fill a platform of tests with a crowd")
    data.add_argument("--url", default="http://127.0.0.1:8090", help="the central platform")
    data.add_argument("--token-file", type=Path, required=True, metavar="FILE",
                      help="the administrator's token (keys/admin.token in its data folder)")
    data.add_argument("--authority", type=Path, metavar="PEM", help="whom https is believed by")
    data.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    data.set_defaults(run=run_data)
    city = actions.add_parser("city", help="a platform and a node to load, on this machine")
    city.add_argument("--folder", type=Path, required=True, metavar="DIR", help="an empty folder")
    city.set_defaults(run=run_city)
    for action in (data, city):
        action.add_argument("--credentials", type=int, default=3_000, metavar="N",
                            help="each bears one code in 5 s; 3,000 bear 500 a second")
        action.add_argument("--gates", type=int, default=50, metavar="N")
        action.add_argument("--all-suites", action="store_true",
                            help="keep keys of SM3/SM4 and sealed codes as well")


def run_data(args: argparse.Namespace) -> int:
    """Fill a running platform."""
    from kanhe.demo.crowd import gather_crowd

    try:
        token = args.token_file.read_text("ascii").strip()
        authority = args.authority.read_bytes() if args.authority else None
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from error
    asyncio.run(gather_crowd(_caller(args.url, token, authority), args.out, _size(args), _say))
    _say(f"{args.out} is ready; the node has it when its feed has caught up")
    return 0


def run_city(args: argparse.Namespace) -> int:
    """Start a city, fill it, and stay."""
    args.folder.mkdir(parents=True, exist_ok=True)
    if any(args.folder.iterdir()):
        raise ConfigError(f"{args.folder} isn't empty: give the city a folder of its own")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _interrupt)
    asyncio.run(_city(args.folder, _size(args)))
    return 0


async def _city(folder: Path, size: "Size") -> None:
    from edge.models.convert import ensure_default_pack
    from kanhe.demo.city import City

    packs = Path("var/packs")
    ensure_default_pack(packs)
    city = City(folder, packs)
    try:
        await fill_city(city, folder / "loadtest", size, _say)
        print(orjson.dumps({
            "event": "ready", "target": city.node_url, "data": str(folder / "loadtest"),
            "try": f"python -m loadtest --target {city.node_url} --data {folder / 'loadtest'}",
        }).decode(), flush=True)
        await asyncio.Event().wait()
    finally:
        city.stop()


async def fill_city(
    city: "City", out: Path, size: "Size", progress: Callable[[str], None]
) -> None:
    """Start a city, register a crowd, and return when the node holds it.

    Raises:
        OperatingError: A part doesn't start, or the node doesn't catch up.
    """
    from kanhe.demo.crowd import gather_crowd

    await city.start_central()
    assert city.central is not None
    city.start_node((await city.admin("POST", "/v1/node-codes"))["code"])
    token = (city.folder / "central" / "keys" / "admin.token").read_text("ascii").strip()
    await gather_crowd(_caller(city.central.url, token, None), out, size, progress)
    gate = orjson.loads((out / "gates.jsonl").read_bytes().partition(b"\n")[0])
    headers = {"Authorization": f"Bearer {gate['credential']}"}
    start = time.monotonic()
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            async with session.get(f"{city.node_url}/v1/status") as response:
                held = (await response.json()).get("held", {}).get("credentials", 0)
            if held >= size.credentials:
                return
            if time.monotonic() - start > HELD_WITHIN_S:
                raise OperatingError(f"the node holds {held} of {size.credentials} credentials "
                                     f"after {HELD_WITHIN_S:.0f} s: see its log")
            await asyncio.sleep(POLL_S)


def _caller(url: str, token: str, authority: bytes | None) -> "Call":
    from kanhe.commands.central import call

    def make(other: str, method: str, path: str, body: bytes) -> Awaitable[bytes]:
        """Call with another's token, or the administrator's."""
        return call(url, other or token, method, path, body, authority=authority)

    return make


def _size(args: argparse.Namespace) -> "Size":
    from edge.protocol.kh1 import SUITES
    from kanhe.demo.crowd import Size

    return Size(credentials=args.credentials, gates=args.gates,
                suites=SUITES if args.all_suites else SUITES[:1])


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"loadtest: {text}", file=sys.stderr, flush=True)
