"""Status lists: fetched beside the feed, believed by the root's `status` keys, kept over a restart.

- A list is replaced only by a later one of the same name, signed by a key that the root names now:
  an older one, another's and one from the future are refused, and what is held stays.
- Lists are numbered from 0 without gaps: they are asked for until one isn't there, within a bound.
- Its own task and its own pauses: a slow list never holds up the feed.
- A list's name never becomes an address: only the platform that this node is enrolled with is
  asked.
- Not here: what a status means (edge.hotpath.statuslist, edge.pipeline.carried).
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping

import msgspec

from edge.errors import CentralError, FeedRefused, OperatingError
from edge.hotpath.statuslist import StatusList, StatusListError, open_token
from edge.protocol.feed import ROLE_STATUS, Root, list_uri
from edge.sync.backoff import Backoff
from edge.sync.checks import CLOCK_AHEAD_S_MAX
from edge.sync.envelope import Refusal, Rule, role_keys
from edge.sync.ports import Central, FeedStore
from edge.sync.worker import Worker
from edge.tasks import end_task

LISTS_MAX = 128
"""Most lists held: 2.23 million holders with three credentials each fill some seventy."""
META_LIST = "status.list."
_LOG = logging.getLogger(__name__)


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the loop: pauses after a full round, after a failure, and the longest."""

    every_s: float = 300.0
    retry_first_s: float = 1.0
    retry_max_s: float = 60.0


class ListKeeper:
    """Holds the newest status lists. Lives once: start, stop."""

    def __init__(
        self,
        *,
        source: Central,
        store: FeedStore,
        root: Callable[[], Root],
        publish: Callable[[Mapping[str, StatusList]], None],
        now: Callable[[], float],
        options: ListOptions | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Wire up; nothing is held before `start`.

        Args:
            source: Where lists are fetched.
            store: Keeps them.
            root: Gives the newest believed root.
            publish: Takes all lists at every change; called on the event loop.
            now: Unix seconds.
            options: Bounds of the loop.
            jitter: Numbers in [0, 1) that spread the pauses.
        """
        self._source, self._store, self._root = source, store, root
        self._publish, self._now = publish, now
        self._options = options or ListOptions()
        self._backoff = Backoff(self._options.retry_first_s, jitter)
        self._worker = Worker("kanhe-lists")
        self._lists: Mapping[str, StatusList] = {}
        self._tags: dict[int, str] = {}
        self._root_version = 0
        self._task: asyncio.Task[None] | None = None
        self.error = ""
        """Words of what is wrong now."""

    @property
    def lists(self) -> Mapping[str, StatusList]:
        """What is held, by name."""
        return self._lists

    def age_s(self, now: float) -> int | None:
        """Give the age of the oldest list held, None if none is."""
        oldest = min((item.issued_s for item in self._lists.values()), default=None)
        return None if oldest is None else max(0, int(now) - oldest)

    async def start(self) -> None:
        """Take up what the store holds, publish it, and begin to fetch.

        Raises:
            StoreError: The store can't be read.
        """
        assert self._task is None, "already started"
        self._root_version = self._root().version
        self._set(await self._worker.run(self._stored))
        self._task = asyncio.create_task(self._run(), name="kanhe-lists")

    async def stop(self) -> None:
        """End the loop."""
        task, self._task = self._task, None
        await end_task(task)
        self._worker.close()

    async def believe(self, number: int, token: bytes) -> None:
        """Believe a list, durably, if it is newer than the one held.

        Raises:
            FeedRefused: A trust rule is broken.
            StoreError: It couldn't be put down.
        """
        uri = list_uri(self._root().log, number)
        found = self._opened(uri, token)
        held = self._lists.get(uri)
        if found.issued_s > self._now() + CLOCK_AHEAD_S_MAX:
            raise Refusal(Rule.FUTURE, f"status list {number} is from the future")
        if held is not None and found.issued_s < held.issued_s:
            raise Refusal(
                Rule.ROLLBACK,
                f"status list {number} is {held.issued_s - found.issued_s} s older than ours")
        if held is not None and found.issued_s == held.issued_s:
            return
        if found.expires_s <= self._now():
            raise Refusal(Rule.EXPIRED, f"status list {number} has expired")
        await self._worker.run(self._store.keep, {f"{META_LIST}{number}": token})
        self._set({**self._lists, uri: found})

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
                self._backoff.reset()
                self.error = ""
                await asyncio.sleep(self._options.every_s)
            except OperatingError as error:
                self.error = str(error)
                await self._pause()
            except Exception:
                # A fault of ours must not end the fetching in silence.
                _LOG.exception("lists.fault")
                self.error = "internal fault"
                await self._pause()

    async def _pause(self) -> None:
        self._backoff.failed()
        await self._backoff.pause(self._options.retry_max_s)

    async def _round(self) -> None:
        """Ask for every list once; one that is refused doesn't hold up the others."""
        root = self._root()
        if root.version != self._root_version:
            # What a withdrawn key signed isn't evidence any more.
            self._root_version, self._tags = root.version, {}
            self._set(await self._worker.run(self._stored))
        if not role_keys(root, ROLE_STATUS):
            return
        refused: FeedRefused | None = None
        for number in range(LISTS_MAX):
            answer = await self._source.status_list(number, self._tags.get(number, ""))
            if answer is None:
                break
            if answer.token is None:
                continue
            try:
                await self.believe(number, answer.token)
                self._tags[number] = answer.tag
            except FeedRefused as error:
                _LOG.warning("lists.refused", extra={"number": number, "why": str(error)})
                refused = error
        if refused is not None:
            raise CentralError(str(refused)) from refused

    def _stored(self) -> dict[str, StatusList]:
        """Give the lists kept, as far as they hold under the root believed now."""
        lists: dict[str, StatusList] = {}
        for number in range(LISTS_MAX):
            token = self._store.meta(f"{META_LIST}{number}")
            if token is None:
                break
            uri = list_uri(self._root().log, number)
            with contextlib.suppress(Refusal):
                lists[uri] = self._opened(uri, token)
        return lists

    def _opened(self, uri: str, token: bytes) -> StatusList:
        try:
            return open_token(token, role_keys(self._root(), ROLE_STATUS), uri)
        except StatusListError as error:
            raise Refusal(Rule.CONTENT, str(error)) from error

    def _set(self, lists: Mapping[str, StatusList]) -> None:
        self._lists = lists
        self._publish(lists)
