"""Taking a snapshot in, in a process of its own, while the node serves from what it has.

- The node hands its belief and keys over a pipe and hears lines of progress; the process fetches,
  judges every byte by the node's own rules, and builds a store beside the one in use.
- It ends with its node: the pipe's end is the signal. What was fetched is there at the next try.
- It gives way to the node: lowest priority, one thread of arithmetic.
- Not here: what is believed (edge.sync.snapshot), when (edge.sync.follower), and the change over
  (edge.cache.replaceable).
"""

import asyncio
import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from edge.access.tls import client_context
from edge.cache.bulk import BulkStore
from edge.cache.protector import Site
from edge.cache.regions import NONE, Regions, is_of, packed, region_of, seen_with
from edge.cache.replaceable import SEEN, WITH_REGIONS
from edge.cache.store import LmdbStore
from edge.errors import CentralError, FeedRefused, OperatingError, StoreError
from edge.node_key import NodeKey
from edge.protocol.snapshot import SnapshotPart
from edge.sync.client import CentralClient
from edge.sync.envelope import Refusal, Rule
from edge.sync.fetch import fetch_parts, fetch_snapshot
from edge.sync.ports import BuildOrder, Built, CentralRefused
from edge.sync.rules import Mark, RootOfTrust
from edge.sync.snapshot import TrustedSnapshot

NICE = 10
LINE_BYTES_MAX = 64 * 1024
ORDER_BYTES_MAX = 16 * 1024 * 1024
STOP_S = 5.0
_LENGTH = 4
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    token: str
    authority: bytes | None
    node_id: str
    root: bytes
    mark: Mark
    feed_keys: dict[int, bytes]
    secret: bytes
    site: Site
    folder: str
    regions: Regions | None


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says; `failed` is empty while all is well."""

    doing: str = ""
    done: int = 0
    total: int = 0
    built: Built | None = None
    failed: Literal["", "central", "refused_us", "refused", "store"] = ""
    rule: str = ""
    why: str = ""


class SnapshotBuilder:
    """Implements sync's `Builder`. On the event loop."""

    def __init__(
        self, *, url: str, token: Callable[[], str], authority: bytes | None, key: NodeKey,
        store: LmdbStore, folder: Path, regions: Regions | None = None,
    ) -> None:
        """Wire up; nothing runs before `build`.

        Args:
            url, token, authority: Of the central platform, as the node calls it.
            key: The node's.
            store: In use; its site's secret goes on in the new one.
            folder: For what is fetched and built; on the store's disk.
            regions: Whose credentials and references are taken in beside what isn't of anybody
                (status, policies, gates): of these regions, nobody's if there are none; all = None.
        """
        self._url, self._token, self._authority = url, token, authority
        self._key, self._store, self._folder = key, store, folder
        self._regions, self._progress = regions, ""

    @property
    def progress(self) -> str:
        """How far it is, in words; empty while nothing is built."""
        return self._progress

    async def build(self, order: BuildOrder) -> Built:
        """Fetch the newest snapshot and make a store of it; see the port."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge.bootstrap", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX, env={**os.environ, **_ONE_THREAD})
        assert process.stdin is not None and process.stdout is not None
        self._progress = "asking for the snapshot"
        try:
            data = msgspec.msgpack.encode(self._order(order))
            process.stdin.write(len(data).to_bytes(_LENGTH, "big") + data)
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            async for line in process.stdout:
                said = msgspec.json.decode(line, type=_Line)
                if said.built is not None:
                    return said.built
                if said.failed:
                    raise _error(said)
                self._progress = f"{said.doing}: {100 * said.done // max(1, said.total)} %"
            raise StoreError("taking the snapshot in broke off: see the log above")
        finally:
            self._progress = ""
            process.stdin.close()
            await _ended(process)

    def _order(self, order: BuildOrder) -> _Order:
        return _Order(
            url=self._url, token=self._token(), authority=self._authority,
            node_id=order.base.node_id, root=order.base.envelope, mark=order.base.mark,
            feed_keys=order.feed_keys, secret=self._key._secret, site=self._store.site,
            folder=str(self._folder), regions=self._regions)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Let the process end, and end it if it doesn't."""
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _error(said: _Line) -> OperatingError:
    if said.failed == "refused":
        return Refusal(Rule(said.rule), said.why) if said.rule else FeedRefused(said.why)
    kinds = {"central": CentralError, "refused_us": CentralRefused, "store": StoreError}
    return kinds[said.failed](said.why)


# --- the process


def main() -> None:
    """Do what the order on standard input says, and say how it goes on standard output."""
    os.nice(NICE)
    source = sys.stdin.buffer
    length = int.from_bytes(source.read(_LENGTH), "big")
    if not 0 < length <= ORDER_BYTES_MAX:
        sys.exit("edge.bootstrap is started by the node")
    order = msgspec.msgpack.decode(source.read(length), type=_Order)
    threading.Thread(target=_end_with_node, daemon=True).start()
    try:
        _say(_Line(built=asyncio.run(_build(order))))
    except Refusal as error:
        _say(_Line(failed="refused", rule=error.rule, why=str(error)))
    except FeedRefused as error:
        _say(_Line(failed="refused", why=str(error)))
    except CentralRefused as error:
        _say(_Line(failed="refused_us", why=str(error)))
    except CentralError as error:
        _say(_Line(failed="central", why=str(error)))
    except OperatingError as error:
        _say(_Line(failed="store", why=str(error)))


async def _build(order: _Order) -> Built:
    now = time.time()
    tls = None
    if order.url.startswith("https:"):
        tls = client_context(order.authority)
    feed = RootOfTrust.restored(order.root, node_id=order.node_id, mark=order.mark).feed(now)
    folder = Path(order.folder)
    client = CentralClient(order.url, token=order.token, tls=tls)
    try:
        trusted = await fetch_snapshot(client, feed, now)
        if trusted is None:
            raise CentralError("the platform has no snapshot any more")
        await fetch_parts(
            client, trusted, folder / "parts", _progress, _wanted(trusted, order))
    finally:
        await client.close()
    return _store_of(trusted, order, folder)


def _wanted(trusted: TrustedSnapshot, order: _Order) -> list[SnapshotPart]:
    """Give the parts to take in: sealed ones hold credentials and references, of any region."""
    return [part for part in trusted.snapshot.parts if order.regions != NONE or not part.key]


def _store_of(trusted: TrustedSnapshot, order: _Order, folder: Path) -> Built:
    store = BulkStore(folder / "cache", NodeKey(order.secret).derive, order.site)
    parts = _wanted(trusted, order)
    total, done, seen = sum(part.changes for part in parts), 0, NONE
    for number, part in enumerate(trusted.snapshot.parts):
        if part not in parts:
            continue
        path = folder / "parts" / part.digest.hex()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        try:
            changes = trusted.part(number, data, order.feed_keys)
        except Refusal:
            path.unlink(missing_ok=True)
            raise
        if order.regions:
            seen = seen_with(seen, map(region_of, changes), order.regions)
            changes = [change for change in changes if is_of(order.regions, change)]
        store.add(changes)
        done += part.changes
        _progress(done, total, "taking the snapshot in")
    _progress(done, total, "bringing it in order")
    store.finish(
        trusted.snapshot.cursor, {SEEN.decode(): packed(seen), WITH_REGIONS.decode(): b"1"})
    shutil.rmtree(folder / "parts", ignore_errors=True)
    return Built(str(folder / "cache"), trusted.mark(), total)


def _progress(done: int, total: int, doing: str) -> None:
    _say(_Line(doing=doing, done=done, total=total))


def _say(line: _Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_node() -> None:
    """Wait for the pipe's end: the node has stopped, or has what it wanted."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
