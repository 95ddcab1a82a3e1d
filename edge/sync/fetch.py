"""Fetching a snapshot: timestamp, snapshot, and its parts as files in a folder.

- A file is named by the digest of its bytes and appears whole; half a file goes on from its last
  byte, after a cut as after a kill.
- Whatever is of another snapshot is removed, so the folder holds one at most.
- Not here: what a part may hold (edge.sync.snapshot), and where it goes (edge.bootstrap).
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from edge.errors import CentralError, StoreError
from edge.protocol.snapshot import SnapshotPart
from edge.sync.client import CentralClient
from edge.sync.envelope import Refusal, Rule
from edge.sync.ports import CentralRefused
from edge.sync.rules import TrustedFeed
from edge.sync.snapshot import TrustedSnapshot, trust_timestamp

TRIES_MAX = 8
"""For one part, without a byte more than at the last try."""
PAUSE_S = 0.5
Progress = Callable[[int, int, str], None]
"""Hears of long work: done, of how many, doing what."""


async def fetch_snapshot(
    client: CentralClient, feed: TrustedFeed, now: float
) -> TrustedSnapshot | None:
    """Fetch and believe the newest snapshot, None where the platform has none.

    Raises:
        CentralError: The platform can't be reached or refused.
        FeedRefused: A trust rule is broken.
    """
    data = await client.timestamp()
    if data is None:
        return None
    named = trust_timestamp(feed, data, now)
    return named.snapshot(await client.snapshot(named.timestamp.length), now)


async def fetch_parts(
    client: CentralClient, trusted: TrustedSnapshot, folder: Path, progress: Progress,
    wanted: Sequence[SnapshotPart] | None = None,
) -> None:
    """Fetch every part that the folder doesn't hold yet, or those that are wanted.

    Raises:
        CentralError: The platform can't be reached; what came is kept.
        FeedRefused: A part isn't the one that the snapshot names.
        StoreError: It can't be written.
    """
    parts = trusted.snapshot.parts if wanted is None else wanted
    names = {part.digest.hex() for part in parts}
    total = sum(part.length for part in parts)
    done = 0
    try:
        _keep_only(folder, names)
        for part in parts:
            await _fetch_part(client, part, folder)
            done += part.length
            progress(done, total, "fetching the snapshot")
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error


def _keep_only(folder: Path, names: set[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.iterdir():
        if path.name.partition(".")[0] not in names:
            path.unlink()


async def _fetch_part(client: CentralClient, part: SnapshotPart, folder: Path) -> None:
    name = part.digest.hex()
    whole, half = folder / name, folder / f"{name}.part"
    if whole.exists() and whole.stat().st_size == part.length:
        return
    tries = 0
    while True:
        held = half.stat().st_size if half.exists() else 0
        if held == part.length:
            break
        if held > part.length:
            half.unlink()
            continue
        failed: CentralError | None = None
        try:
            with half.open("ab") as file:
                await client.part(name, held, part.length, partial(_write, file))
        except CentralRefused:
            raise
        except CentralError as error:
            failed = error
        # An answer may also end well and bring nothing.
        tries = 0 if half.stat().st_size > held else tries + 1
        if tries >= TRIES_MAX:
            raise failed or CentralError(f"part {name[:8]}…: the answers hold nothing of it")
        if failed is not None or tries:
            await asyncio.sleep(PAUSE_S)
    if hashlib.sha256(half.read_bytes()).digest() != part.digest:
        half.unlink()
        raise Refusal(Rule.DIGEST, f"part {name[:8]}… isn't the one that was named")
    half.replace(whole)


def _write(file: BinaryIO, chunk: bytes) -> None:
    """Write a piece; a full disk must not pass for a network that failed."""
    try:
        file.write(chunk)
    except OSError as error:
        raise StoreError(f"a part of the snapshot can't be written: {error.strerror}") from error
