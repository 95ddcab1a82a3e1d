"""A node's part in its site: the shared memory, its values and wake-ups, and who keeps them going.

- The keeper joins, looks after the marks every `KEEP_S`, and joins again after a fault, with a
  pause between tries; no fault ends it.
- Starting never waits for Redis: the node serves with its own guard until it has joined.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

import msgspec

from edge.cache.site.circuit import SiteFault
from edge.cache.site.link import RedisLink
from edge.cache.site.memory import MemoryOptions, SiteMemory
from edge.cache.site.names import SiteKey
from edge.cache.site.place import LinkOptions
from edge.cache.site.values import SharedValues
from edge.cache.site.wakes import Wakes
from edge.protocol.lookup import LIFE_S
from edge.tasks import end_task

KEEP_S = 5.0
_RECONNECT = ("unreachable", "slow", "read_only", "denied", "refused")
"""Faults after which connections are made anew."""
_LOG = logging.getLogger(__name__)


class SiteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself and of its site.

    Attributes:
        prefix: Of every name in Redis.
        answers_kept_s: How long a `request_id` gives the same answer at every node.
        cursor, wake: See `Wakes`.
    """

    link: LinkOptions
    memory: MemoryOptions
    prefix: str
    answers_kept_s: int
    cursor: Callable[[], int]
    wake: Callable[[], None]


class Site:
    """Lives once: start, stop.

    Attributes:
        memory: What is spent at the site.
        answers: Recent answers by request.
        lookups: The platform's answers about credentials that a node asked for.
        wakes: Tells the others of a change of the feed.
    """

    def __init__(self, secret: bytes, options: SiteOptions) -> None:
        """Wire up from the site's 32 bytes; nothing is connected before `start`.

        Raises:
            ConfigError: Redis' address has none of the forms.
        """
        key = SiteKey(secret, options.prefix)
        self._link = RedisLink(options.link)
        self.memory = SiteMemory(self._link, key, options.memory)
        self.answers = SharedValues(
            "answer", options.answers_kept_s, link=self._link, key=key, memory=self.memory,
            deadline_s=options.memory.deadline_s)
        self.lookups = SharedValues(
            "lookup", LIFE_S, link=self._link, key=key, memory=self.memory,
            deadline_s=options.memory.deadline_s)
        self.wakes = Wakes(self._link, key, self.memory,
                           cursor=options.cursor, wake=options.wake)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to join; on the event loop."""
        self._task = asyncio.create_task(self._run(), name="kanhe-site")
        self.answers.start()
        self.lookups.start()
        self.wakes.start()

    async def stop(self) -> None:
        """End all parts and close the connections."""
        task, self._task = self._task, None
        await end_task(task)
        if task is not None:
            await self.wakes.stop()
            await self.answers.stop()
            await self.lookups.stop()
        await self._link.close()

    def shown(self) -> dict[str, int | str]:
        """Say how the site is, for `/v1/status`."""
        memory, counts = self.memory, self.memory.counts
        why = memory.circuit.why
        if memory.state == "began_anew" and not why:
            why = "Redis' memory began anew: codes of before count for this node only"
        return {
            "state": memory.state, "why": why, "alone": memory.alone, "merged": counts.merged,
            "spent_twice": counts.twice, "foreign": counts.faults.get("foreign", 0),
            "answers_found": self.answers.found, "answers_kept": self.answers.kept,
            "lookups_found": self.lookups.found, "lookups_kept": self.lookups.kept,
            "wakes_heard": self.wakes.heard,
        }

    async def _run(self) -> None:
        memory = self.memory
        while True:
            memory.troubled.clear()
            try:
                await memory.join()
            except SiteFault as fault:
                memory.trip(fault)
            except Exception:
                # A fault of ours must not end the keeping in silence.
                _LOG.exception("site.fault")
                memory.trip(SiteFault("refused", "internal fault: see the log"))
            if memory.circuit.closed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(KEEP_S):
                        await memory.troubled.wait()
            if not memory.circuit.closed:
                await asyncio.sleep(memory.circuit.pause_s)
                if memory.circuit.state in _RECONNECT:
                    await self._link.renew()
