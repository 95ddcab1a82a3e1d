"""Fills a platform with a crowd to load a node with: holders, credentials, gates, wallets.

- Everything goes over the platform's HTTP interface, as an administrator and wallets would do it.
- Holders are made up and share the demo's faces; a holder has many credentials, since a wallet
  shows each only once a step.
- What it writes holds keys of that platform: folders and files are their owner's only.
- For a platform of tests; a real city's has no such holders.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import orjson

from edge.errors import CentralError, ConfigError
from kanhe.demo.city import SCENES, credentials_of
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, Person, load_portrait
from loadtest.data import FACES, GATES, WALLETS, GateLine, WalletKey, WalletLine

CREDENTIALS_MAX, GATES_MAX = 200_000, 5_000
A_HOLDER_MAX = 500
"""Credentials of one holder, so that what a wallet is given stays small."""
FACES_A_HOLDER = 3
CALLS_AT_ONCE = 8
NUMBER_TRIES = 5

Call = Callable[[str, str, str, bytes], Awaitable[bytes]]
"""Token (empty = the administrator's), method, path, body → the answer's body."""
_T = TypeVar("_T")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large the crowd is; `suites` are those that wallets keep keys of."""

    credentials: int = 3_000
    gates: int = 50
    suites: tuple[int, ...] = (1,)


async def gather_crowd(
    call: Call, out: Path, size: Size, progress: Callable[[str], None]
) -> None:
    """Register a crowd and write its files.

    Args:
        call: Makes one call to the platform.
        out: Folder for the files; made if it isn't there.
        size: Of the crowd.
        progress: Is told what goes on.

    Raises:
        ConfigError: The size is out of bounds, or the folder holds such files already.
        CentralError: The platform refused.
    """
    if not 1 <= size.credentials <= CREDENTIALS_MAX or not 1 <= size.gates <= GATES_MAX:
        raise ConfigError(f"1 to {CREDENTIALS_MAX} credentials and 1 to {GATES_MAX} gates")
    if (out / WALLETS).exists():
        raise ConfigError(f"{out} holds a crowd already: give another folder")
    (out / FACES).mkdir(parents=True, exist_ok=True, mode=0o700)
    gates = await _all([
        _gate(call, number) for number in range(size.gates)], progress, "gates")
    _write(out / GATES, list(gates))
    counts = [min(A_HOLDER_MAX, size.credentials // len(PEOPLE) + 1)] * (
        -(-size.credentials // min(A_HOLDER_MAX, size.credentials // len(PEOPLE) + 1)))
    counts[-1] -= sum(counts) - size.credentials
    lines: list[WalletLine] = []
    for number, count in enumerate(counts):
        name = f"h{number:04d}"
        lines += await _settle(call, out, name, number, count, size.suites)
        progress(f"{len(lines)} of {size.credentials} credentials")
    random.Random(1).shuffle(lines)  # noqa: S311 - an order, so that holders alternate
    _write(out / WALLETS, lines)


async def _settle(
    call: Call, out: Path, name: str, number: int, count: int, suites: tuple[int, ...]
) -> list[WalletLine]:
    """Register one holder with a face and credentials, and pair a wallet."""
    person, holder_id = await _register(call, PEOPLE[number % len(PEOPLE)])
    path = f"/v1/holders/{holder_id}"
    await call("", "POST", f"{path}/consents", orjson.dumps(
        {"purpose": "face_verification", "given": True, "how": "made up for a load test"}))
    portrait = load_portrait(person)
    await call("", "POST", f"{path}/photograph", face_frame(portrait, seed=1, quality=95))
    for index in range(FACES_A_HOLDER):
        _write_bytes(out / FACES / f"{name}-{index}.jpg", face_frame(portrait, seed=index))
    body = orjson.dumps({"holder_id": holder_id, "type": "resident_id",
                         "fields": credentials_of(person)["resident_id"]})
    await _all([call("", "POST", "/v1/credentials", body) for _ in range(count)])
    code = orjson.loads(await call("", "POST", f"{path}/wallet-codes", b""))["code"]
    paired = orjson.loads(await call("", "POST", "/v1/wallets", orjson.dumps({"code": code})))
    delivered = orjson.loads(await call(paired["token"], "GET", "/v1/wallet", b""))
    return [_line(card, name, suites) for card in delivered["credentials"]]


async def _register(call: Call, model: Person) -> tuple[Person, str]:
    """Register a holder under a number that nobody has yet."""
    rng = random.SystemRandom()
    for _ in range(NUMBER_TRIES):
        person = msgspec.structs.replace(
            model, birth_date=f"{rng.randint(1950, 2005)}-{rng.randint(1, 12):02d}-"
                              f"{rng.randint(1, 28):02d}",
            sequence=rng.randrange(1, 499) * 2 + model.sequence % 2)
        try:
            answer = await call("", "POST", "/v1/holders", orjson.dumps(
                {"name": f"测试{person.name}", "number": person.id_number}))
        except CentralError as error:
            if "registered already" not in str(error):
                raise
            continue
        return person, str(orjson.loads(answer)["holder_id"])
    raise CentralError("no free number was found for a made-up holder: try again")


async def _gate(call: Call, number: int) -> GateLine:
    body = orjson.dumps({"label": f"load test {number}", "scenes": SCENES})
    gate = orjson.loads(await call("", "POST", "/v1/gates", body))
    return GateLine(gate_id=gate["gate_id"], credential=gate["credential"])


def _line(card: dict[str, Any], holder: str, suites: tuple[int, ...]) -> WalletLine:
    keys = msgspec.convert(card["epochs"], tuple[WalletKey, ...])
    return WalletLine(
        credential_id=card["credential_id"], type=card["type"], holder=holder,
        keys=tuple(key for key in keys if key.suite in suites))


async def _all(
    calls: list[Coroutine[Any, Any, _T]] | list[Awaitable[_T]],
    progress: Callable[[str], None] | None = None, what: str = "",
) -> list[_T]:
    """Await all, a few at once."""
    room = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(made: Awaitable[_T]) -> _T:
        async with room:
            return await made

    done = await asyncio.gather(*(one(made) for made in calls))
    if progress is not None:
        progress(f"{len(done)} {what}")
    return done


def _write(path: Path, lines: list[Any]) -> None:
    _write_bytes(path, msgspec.json.Encoder().encode_lines(lines))


def _write_bytes(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
