"""Snapshots: the feed's state, compacted into signed parts that are files.

- Read page by page in short transactions, so that the platform goes on meanwhile. Its cursor is
  the log's length *before* the first page: what changed later is in the log from there on, and
  applying it again gives the same.
- Written beside the last one and named in one step; the files of the last but one are removed.
- The folder is the truth: several processes may share it, and one at a time makes the next.
- Records with personal data are sealed under the feed key; status, policies and gates are signed
  only, in parts of their own: a node that holds no more than its site needs reads those alone.
- One that is damaged, or signed by a key that the root no longer names, is none: the next is made
  soon. So it is for one that lacks a part.
- Versions rise with the clock, as nodes believe none older than the last they took, and the folder
  may be lost or not be in the backup that a platform is restored from.
- Not here: the pages (central.compaction), who may fetch them (central.web.snapshot_routes).
"""

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from central import feed, feed_keys
from central.compaction import pages
from central.errors import Conflict, Unknown
from central.keys import PlatformKeys
from central.store import Database, Transaction
from edge.errors import StoreError
from edge.files import hold_file, write_file
from edge.protocol.feed import FORMAT, Change, Envelope, PutCredential, PutReference, Root
from edge.protocol.snapshot import NONCE_BYTES, Snapshot, SnapshotPart, Timestamp, pack_part
from edge.tasks import end_task

_LOG = logging.getLogger(__name__)
PART_CHANGES = 16_000
SNAPSHOT_LIFE_S = 30 * 86_400
TIMESTAMP_LIFE_S = 300
EVERY_CHANGES = 50_000
"""Changes since the last snapshot after which the next one is made."""
LOOK_EVERY_S = 60.0
ENVELOPE_FILE, LOCK_FILE = "snapshot.envelope", "lock"
PARTS_FOLDER = "parts"


class SnapshotShown(msgspec.Struct, frozen=True):
    """A snapshot as an administrator sees it."""

    version: int
    cursor: int
    issued_s: int
    parts: int
    changes: int
    length: int


class Snapshots:
    """Makes and keeps the snapshots of one platform. On the event loop."""

    def __init__(
        self, folder: Path, database: Database, keys: PlatformKeys, root: Root,
        now: Callable[[], float],
    ) -> None:
        """Serve the newest one of a folder, if there is any.

        Args:
            folder: Of the files; made if it isn't there.
            database: What is compacted.
            keys: Sign and seal.
            root: Names the feed, and the keys that nodes believe.
            now: Gives Unix seconds.
        """
        self._folder, self._database, self._keys, self._now = folder, database, keys, now
        self._log, self._root = root.log, root
        self._task: asyncio.Task[None] | None = None

    @property
    def newest(self) -> Snapshot | None:
        """The newest snapshot, None where none stands."""
        return self._standing(self._read())

    @property
    def _named_in_root(self) -> bool:
        return {"snapshot", "timestamp"} <= self._root.roles.keys()

    def _read(self) -> bytes | None:
        try:
            return (self._folder / ENVELOPE_FILE).read_bytes()
        except FileNotFoundError:
            return None

    def _standing(self, data: bytes | None) -> Snapshot | None:
        """Give what the file holds if it is whole, and signed by keys that the root names now."""
        if data is None:
            return None
        try:
            envelope = msgspec.msgpack.decode(data, type=Envelope)
            if self._named_in_root and feed.signed_by(envelope, self._root, "snapshot"):
                return msgspec.msgpack.decode(envelope.body, type=Snapshot)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        return None

    def start(self) -> None:
        """Begin to make one whenever many changes came since the last."""
        self._task = asyncio.create_task(self._keep(), name="kanhe-snapshots")

    async def stop(self) -> None:
        """Stop; half a snapshot is forgotten."""
        await end_task(self._task)

    def envelope(self) -> bytes:
        """Give the newest snapshot's envelope.

        Raises:
            Unknown: There is none yet.
        """
        return self._named()[0]

    def timestamp(self) -> bytes:
        """Give the signed name of the newest snapshot.

        Raises:
            Unknown: There is none yet.
        """
        (data, snapshot), now_s = self._named(), int(self._now())
        return feed.sign(Timestamp(
            format=FORMAT, log=self._log, issued_s=now_s, expires_s=now_s + TIMESTAMP_LIFE_S,
            version=snapshot.version, length=len(data),
            digest=hashlib.sha256(data).digest(),
        ), self._keys.signing["timestamp"])

    def _named(self) -> tuple[bytes, Snapshot]:
        data = self._read()
        snapshot = self._standing(data)
        if data is None or snapshot is None:
            raise Unknown("there is no snapshot yet: follow the log")
        return data, snapshot

    def part(self, digest: str) -> Path:
        """Give the file of a part.

        Raises:
            Unknown: There is none of that digest (any more).
        """
        path = self._folder / PARTS_FOLDER / digest
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef") or not path.is_file():
            raise Unknown("there is no such part: ask for the newest snapshot")
        return path

    async def make(self) -> SnapshotShown:
        """Make the next snapshot.

        Raises:
            Conflict: One is being made, or the root names no keys for it.
            StoreError: The files can't be written.
        """
        if not self._named_in_root:
            raise Conflict("the platform's root names no keys for snapshots")
        try:
            with _alone(self._folder):
                return await self._make()
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror}") from error

    async def _make(self) -> SnapshotShown:
        before = self.newest
        head, version, secret = await self._database.run(_begin)
        (self._folder / PARTS_FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
        parts: list[SnapshotPart] = []
        personal: list[Change] = []
        others: list[Change] = []

        async def write(changes: list[Change], *, sealed: bool) -> None:
            key = (version, secret, os.urandom(NONCE_BYTES)) if sealed else None
            parts.append(await asyncio.to_thread(self._write, list(changes), key))
            changes.clear()

        async for page in pages(self._database):
            for change in page:
                is_of_somebody = isinstance(change, PutCredential | PutReference)
                (personal if is_of_somebody else others).append(change)
            if len(personal) >= PART_CHANGES:
                await write(personal, sealed=True)
            if len(others) >= PART_CHANGES:
                await write(others, sealed=False)
        if personal:
            await write(personal, sealed=True)
        if others:
            await write(others, sealed=False)
        now_s = int(self._now())
        snapshot = Snapshot(
            format=FORMAT, log=self._log, version=max(now_s, before.version + 1 if before else 1),
            cursor=head, issued_s=now_s, expires_s=now_s + SNAPSHOT_LIFE_S, parts=tuple(parts))
        await asyncio.to_thread(self._name, snapshot, before)
        shown = SnapshotShown(
            snapshot.version, head, now_s, len(parts), sum(p.changes for p in parts),
            sum(p.length for p in parts))
        _LOG.info("snapshot.made", extra=msgspec.structs.asdict(shown))
        return shown

    def _write(self, changes: list[Change], key: tuple[int, bytes, bytes] | None) -> SnapshotPart:
        data, plain = pack_part(changes, self._log, key)
        digest = hashlib.sha256(data)
        write_file(self._folder / PARTS_FOLDER / digest.hexdigest(), data)
        return SnapshotPart(
            digest=digest.digest(), length=len(data), plain_length=plain, changes=len(changes),
            key=key[0] if key else 0)

    def _name(self, snapshot: Snapshot, before: Snapshot | None) -> None:
        write_file(self._folder / ENVELOPE_FILE,
                   feed.sign(snapshot, self._keys.signing["snapshot"]))
        kept = {part.digest.hex() for item in (snapshot, before) if item for part in item.parts}
        for path in (self._folder / PARTS_FOLDER).iterdir():
            if path.name not in kept:
                path.unlink()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Conflict:
                pass  # another process makes it
            except Exception:
                _LOG.exception("snapshot.failed")

    async def look(self) -> None:
        """Make the next one if it is time; raises as `make`."""
        if not self._named_in_root:
            return
        data = self._read()
        newest = self._standing(data)
        head = await self._database.run(lambda tx: tx.head())
        key = await self._database.run(feed_keys.current)
        unfit = data is not None if newest is None else self._ages(newest, key)
        if unfit or head - (newest.cursor if newest else 0) >= EVERY_CHANGES:
            await self.make()

    def _ages(self, snapshot: Snapshot, feed_key: int) -> bool:
        """Say whether one is half over, sealed under an old feed key, or lacks a part."""
        return (
            snapshot.expires_s - self._now() < SNAPSHOT_LIFE_S / 2
            or any(0 < part.key <= feed_key - feed_keys.KEPT // 2 for part in snapshot.parts)
            or not all((self._folder / PARTS_FOLDER / part.digest.hex()).is_file()
                       for part in snapshot.parts))


def _begin(tx: Transaction) -> tuple[int, int, bytes]:
    version = feed_keys.current(tx)
    return tx.head(), version, feed_keys.secret(tx, version)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only one that makes a snapshot in a folder; ends with the process.

    Raises:
        Conflict: Somebody else does.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = hold_file(folder / LOCK_FILE)
    if fd is None:
        raise Conflict("a snapshot is being made already")
    try:
        yield
    finally:
        os.close(fd)
