"""The platform's parts in one object: keys, database, feed, face engine.

- Calls of the web are one transaction each, or a few where faces are judged between.
- A task makes key epochs ahead and retires old ones.
"""

import asyncio
import contextlib
import functools
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from central import epochs, facts, feed, policies
from central.config import CentralConfig
from central.errors import Conflict, Invalid, Unauthorised
from central.keys import PlatformKeys
from central.reenrol import Job, Reenrolment
from central.roots import load_roots, root_of
from central.schema import Counter, Node
from central.snapshots import Snapshots
from central.store import Database, Transaction, forget_marks
from edge.errors import PackError
from edge.hotpath.holder import ProbeFault
from edge.models.engine import ReferenceDraft
from edge.tasks import end_task

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
EPOCHS_EVERY_S = 60.0
SHARED_MAX = 1_000
"""Places in the feed whose batch is kept for a moment, for all nodes that wait there."""


class Enroller(Protocol):
    """What the platform needs of a face engine; blocking and thread-safe."""

    @property
    def pack_id(self) -> str:
        """Id of the pack."""
        ...

    def make_reference_template(self, image: bytes) -> ReferenceDraft | ProbeFault:
        """Judge an enrolment photograph."""
        ...


OpenPack = Callable[[str], Enroller]
"""Opens another pack by its id; blocking, raises PackError."""


class Platform:
    """One running central platform, without its HTTP surface."""

    def __init__(
        self, config: CentralConfig, face: Enroller, now: Callable[[], float] = time.time,
        open_pack: OpenPack | None = None,
    ) -> None:
        """Open keys and database.

        Args:
            config: The platform's.
            face: Enrols photographs.
            now: Gives Unix seconds.
            open_pack: Opens the pack that references are to be made for.

        Raises:
            OperatingError: One of them can't be opened.
        """
        self.config, self.now, self._face = config, now, face
        self.keys = PlatformKeys(config.data_dir / "keys")
        self.database = Database(
            config.database_address, self.keys, now, config.database_connections)
        self.references = Reenrolment(self.database)
        self._open_pack = open_pack
        self.roots = load_roots(config.data_dir, self.keys, config.log, int(now()))
        self.snapshots = Snapshots(
            config.data_dir / "snapshots", self.database, self.keys, root_of(self.root), now)
        self._faces = ThreadPoolExecutor(1, "kanhe-enrol")
        self._task: asyncio.Task[None] | None = None
        self._shared_at: tuple[asyncio.Event, int] | None = None
        self._shared: dict[int, asyncio.Task[tuple[bool, bytes]]] = {}
        self._code_minute, self._code_failures = 0, 0

    @property
    def root(self) -> bytes:
        """The newest root's envelope."""
        return self.roots[-1]

    async def start(self) -> None:
        """Install what an empty platform lacks and keep epochs made.

        Raises:
            KeyFileError: The database is another platform's.
        """
        await self.database.run(lambda tx: facts.insist_on_keys(tx, self.roots))
        self.database.listen()
        await self.database.run(policies.install_defaults)
        await self._make_epochs()
        self._task = asyncio.create_task(self._keep_epochs())
        self.snapshots.start()

    async def stop(self) -> None:
        """Stop and close."""
        await self.references.stop()
        await self.snapshots.stop()
        await end_task(self._task)
        self._faces.shutdown(wait=True)
        await self.database.stop()

    def check_admin(self, token: str) -> None:
        """Insist on the administrator's token.

        Raises:
            Unauthorised: It is another.
        """
        if not hmac.compare_digest(token.encode(), self.keys.admin_token.encode()):
            raise Unauthorised("the administrator's token is needed")

    async def feed(self, cursor: int, wait_s: float) -> bytes:
        """Wait up to `wait_s` for changes from a cursor on; give a signed batch."""
        deadline = time.monotonic() + wait_s
        while True:
            news = self.database.news
            changed, batch = await self._look(cursor, news)
            left = deadline - time.monotonic()
            if changed or left <= 0.0:
                return batch
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self.database.look_every_s)):
                    await news.wait()

    async def _look(self, cursor: int, news: asyncio.Event) -> tuple[bool, bytes]:
        """Read and sign a batch; who asks the same before the next news shares it, for a second."""
        moment = (news, int(self.now()))
        if self._shared_at != moment:
            self._shared_at, self._shared = moment, {}
        task = self._shared.get(cursor)
        if task is None:
            task = asyncio.create_task(self._read(cursor))
            task.add_done_callback(functools.partial(self._looked, cursor))
            if len(self._shared) < SHARED_MAX:
                self._shared[cursor] = task
        return await asyncio.shield(task)

    def _looked(self, cursor: int, task: "asyncio.Task[tuple[bool, bytes]]") -> None:
        """Share no failure with who asks later."""
        failed = task.cancelled() or task.exception() is not None
        if failed and self._shared.get(cursor) is task:
            del self._shared[cursor]

    async def _read(self, cursor: int) -> tuple[bool, bytes]:
        batch = await self.database.run(lambda tx: feed.batch(tx, self.config.log, cursor))
        return bool(batch.changes), feed.sign(batch, self.keys.signing["changes"])

    async def enrol_face(self, image: bytes) -> ReferenceDraft:
        """Make a reference of a photograph.

        Raises:
            Invalid: No face, several, or of too low quality; says which.
            ImageError: Not an image that is read.
        """
        draft = await asyncio.get_running_loop().run_in_executor(
            self._faces, self._face.make_reference_template, image
        )
        if isinstance(draft, ProbeFault):
            detail = f" ({draft.why})" if draft.why else ""
            raise Invalid(f"the photograph can't be enrolled: {draft.reason.value}{detail}")
        return draft

    async def make_references(self, pack: str) -> Job:
        """Begin to make references of a pack for every holder who has none of it.

        Raises:
            Conflict: A pass is under way.
            Invalid: The pack can't be opened.
        """
        loop = asyncio.get_running_loop()
        face = self._face
        if pack != face.pack_id:
            if self._open_pack is None:
                raise Invalid(f"pack: this platform enrols with {face.pack_id} only")
            try:
                face = await loop.run_in_executor(None, self._open_pack, pack)
            except PackError as error:
                raise Invalid(f"pack: {error}") from error

        async def draft(image: bytes) -> ReferenceDraft | ProbeFault:
            return await loop.run_in_executor(
                self._faces, face.make_reference_template, image)

        return self.references.begin(face.pack_id, "make", draft)

    def drop_references(self, pack: str) -> Job:
        """Begin to drop a pack's references of every holder who has one of another pack.

        Raises:
            Conflict: A pass is under way, or photographs are enrolled with this pack.
        """
        if pack == self.pack_id:
            raise Conflict("photographs are enrolled with this pack: change face_pack first")
        return self.references.begin(pack, "drop", None)

    @property
    def pack_id(self) -> str:
        """Pack that references are made with."""
        return self._face.pack_id

    def key_delivery(self, tx: Transaction, node: Node) -> bytes:
        """Give a node its key epochs, signed."""
        body = epochs.delivery(tx, node, self.config.log, self.config.node_ahead_days)
        return feed.sign(body, self.keys.signing["keys"])

    def check_code_rate(self) -> None:
        """Refuse codes when too many wrong ones came in this minute.

        Raises:
            Unauthorised: Wait a minute.
        """
        minute = int(self.now() // 60)
        if minute != self._code_minute:
            self._code_minute, self._code_failures = minute, 0
        if self._code_failures >= self.config.code_tries_max:
            raise Unauthorised("too many wrong codes: wait a minute")

    def code_failed(self) -> None:
        """Count a wrong code."""
        self._code_failures += 1

    async def _keep_epochs(self) -> None:
        while True:
            await asyncio.sleep(EPOCHS_EVERY_S)
            try:
                await self._make_epochs()
            except Exception:
                _LOG.exception("epochs.failed")

    async def _make_epochs(self) -> None:
        ahead = max(
            self.config.epochs_ahead_days, self.config.node_ahead_days,
            self.config.wallet_ahead_days,
        )
        await self.database.run(lambda tx: epochs.make_ahead(tx, ahead))
        await self.database.run(forget_marks)

    async def counters(self) -> dict[str, int]:
        """Give the platform's counters."""
        return await self.database.run(
            lambda tx: {row.name: row.value for row in _rows(tx)}
        )


def _rows(tx: Transaction) -> Sequence[Counter]:
    return tx.session.query(Counter).all()

