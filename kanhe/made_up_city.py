"""Fills a new platform's database with a made-up city, for measures.

- Rows are written as the platform writes them, sealed with its keys, thousands a transaction; the
  log counts a change for each and begins behind them, as if older changes were kept no more. So a
  node can only begin with a snapshot.
- Names and numbers are made of a counter, templates of a hash: nobody real, and the same each time.
- Each belongs to one of ten districts, by number.
- Only into an empty folder; never beside a real city.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert

from central import consents, feed
from central.keys import PlatformKeys
from central.registry import NewHolder
from central.schema import Consent, Counter, Credential, Holder, Photograph
from central.store import Database, Transaction
from edge.errors import ConfigError
from edge.models.convert import PACK_ID

HOLDERS_MAX = 20_000_000
A_HOLDER = 3
TYPES = ("resident_id", "driving_licence", "health_card")
PAGE = 5_000
REGIONS = tuple(f"3302{district:02d}" for district in (3, 5, 6, 11, 12, 13, 25, 26, 81, 82))
"""Ningbo's districts and counties (GB/T 2260)."""
TEMPLATE_BYTES = 128
_encode = msgspec.json.Encoder().encode


async def generate_city(
    folder: Path, holders: int, progress: Callable[[int, int, str], None]
) -> None:
    """Fill an empty folder with a platform's keys and database.

    Args:
        folder: The platform's data folder.
        holders: How many people.
        progress: Hears how far it is.

    Raises:
        ConfigError: The number is out of bounds, or the folder holds something.
        StoreError: The database failed.
    """
    if not 1 <= holders <= HOLDERS_MAX:
        raise ConfigError(f"--holders: 1 to {HOLDERS_MAX}")
    if folder.exists() and any(folder.iterdir()):  # noqa: ASYNC240 - nothing else runs yet
        raise ConfigError(f"{folder} isn't empty: give a new folder")
    keys = PlatformKeys(folder / "keys")
    database = Database(f"sqlite:///{folder / 'central.db'}", keys, time.time)
    try:
        for first in range(0, holders, PAGE):
            last = min(first + PAGE, holders)
            await database.run(lambda tx, a=first, b=last: _put(tx, a, b))  # type: ignore[misc]
            progress(last, holders, "making up the city")
        await database.run(lambda tx: _begin_log(tx, holders * (1 + A_HOLDER)))
    finally:
        await database.stop()


def holder_id(number: int) -> bytes:
    """Give the id of a holder of the city, by number."""
    return hashlib.sha256(b"holder/%d" % number).digest()[:16]


def region_of(number: int) -> str:
    """Give the region of a holder of the city, by number."""
    return REGIONS[number % len(REGIONS)]


def credential_id(number: int, index: int) -> bytes:
    """Give the id of a holder's credential, by their numbers."""
    return hashlib.sha256(b"credential/%d/%d" % (number, index)).digest()[:16]


def _put(tx: Transaction, first: int, last: int) -> None:
    numbers = range(first, last)
    for table, rows in (
        (Holder, (_holder(tx, number) for number in numbers)),
        (Consent, (_consent(tx, number) for number in numbers)),
        (Photograph, (_photograph(tx, number) for number in numbers)),
        (Credential, (row for number in numbers for row in _credentials(tx, number))),
    ):
        tx.session.execute(insert(table), list(rows))


def _begin_log(tx: Transaction, changes: int) -> None:
    tx.session.add(Counter(name="changes", value=changes))
    tx.session.add(Counter(name=feed.BEGINS, value=changes))


def _holder(tx: Transaction, number: int) -> dict[str, Any]:
    id_ = holder_id(number)
    name, person = f"测试{number:07d}", _number(number)
    return {
        "id": id_, "kind": "person", "number_hash": tx.keys.digest("number", person),
        "name_hash": tx.keys.digest("name", name), "created_s": tx.now_s,
        "region": region_of(number), "sealed": tx.keys.seal(
            f"holder/{id_.hex()}", _encode(NewHolder(name=name, number=person))),
    }


def _consent(tx: Transaction, number: int) -> dict[str, Any]:
    return {"holder_id": holder_id(number), "purpose": consents.FACE_VERIFICATION, "given": True,
            "at_s": tx.now_s, "how": "made up"}


def _photograph(tx: Transaction, number: int) -> dict[str, Any]:
    id_ = holder_id(number)
    place = f"photograph/{id_.hex()}/{PACK_ID}"
    template = hashlib.shake_256(id_).digest(TEMPLATE_BYTES)
    return {"holder_id": id_, "pack": PACK_ID, "image": tx.keys.seal(place, b""),
            "template": tx.keys.seal(place, template), "quality": "1.000", "created_s": tx.now_s}


def _credentials(tx: Transaction, number: int) -> Iterator[dict[str, Any]]:
    for index in range(A_HOLDER):
        id_ = credential_id(number, index)
        fields = {"name": f"测试{number:07d}", "id_number": _number(number),
                  "address": f"浙江省宁波市海曙区测试路{number % 1_000}号{index + 1}室"}
        yield {
            "id": id_, "holder_id": holder_id(number), "type": TYPES[index],
            "valid_from_s": 0, "valid_until_s": None, "status": "valid",
            "status_changed_s": tx.now_s, "updated_s": tx.now_s,
            "sealed": tx.keys.seal(f"credential/{id_.hex()}", _encode(fields)),
        }


def _number(number: int) -> str:
    return f"330203{number:012d}"
