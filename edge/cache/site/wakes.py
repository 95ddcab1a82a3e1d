"""Wake-ups between the nodes of a site: who hears of a change tells the others.

- A wake-up says how far its sender holds the feed, and nothing else: whoever hears it asks the
  platform itself, and believes only what that signs.
- Without the site's tag it isn't heard; one's own isn't either, nor one that tells nothing new;
  heard ones count at most once in `EVERY_S`.
"""

import asyncio
import logging
import os
from collections.abc import Callable

from edge.cache.site.circuit import SiteFault
from edge.cache.site.link import RedisLink
from edge.cache.site.memory import KEEPER_S, SiteMemory
from edge.cache.site.names import SiteKey
from edge.tasks import end_task

EVERY_S = 0.1
AGAIN_S = 1.0
"""Pause before listening again."""
_LOG = logging.getLogger(__name__)


class Wakes:
    """Tells and hears. Lives once: start, stop."""

    def __init__(
        self, link: RedisLink, key: SiteKey, memory: SiteMemory, *,
        cursor: Callable[[], int], wake: Callable[[], None],
    ) -> None:
        """Take how far this node holds the feed, and what ends the follower's pause."""
        self._link, self._key, self._memory = link, key, memory
        self._cursor, self._wake = cursor, wake
        self._me = os.urandom(16)
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.heard = self.told = 0

    def tell(self) -> None:
        """Have the others told how far this node is; takes microseconds."""
        self._news.set()

    def start(self) -> None:
        """Begin to tell and hear; on the event loop."""
        self._tasks = [asyncio.create_task(self._hear_for_ever(), name="kanhe-site-hear"),
                       asyncio.create_task(self._tell_for_ever(), name="kanhe-site-tell")]

    async def stop(self) -> None:
        """End both."""
        for task in self._tasks:
            await end_task(task)
        self._tasks = []

    async def _tell_for_ever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._memory.circuit.closed:
                message = self._key.write_hint(self._me, self._cursor())
                try:
                    await self._link.tell(self._key.channel, message, KEEPER_S)
                    self.told += 1
                except SiteFault as fault:
                    self._memory.trip(fault)
            await asyncio.sleep(EVERY_S)

    async def _hear_for_ever(self) -> None:
        while True:
            try:
                async for message in self._link.listen(self._key.channel):
                    await self._hear(message)
            except SiteFault:
                # The circuit says so wherever it matters; here it is only a pause.
                pass
            except Exception:
                _LOG.exception("site.hearing_fault")
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, message: bytes) -> None:
        hint = self._key.read_hint(message)
        if hint is None:
            self._memory.count_foreign()
        elif hint[0] != self._me and hint[1] > self._cursor():
            self.heard += 1
            self._wake()
            await asyncio.sleep(EVERY_S)
