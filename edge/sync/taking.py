"""When a node begins with a snapshot instead of following the log, and doing so.

- It holds nothing yet, or more changes are missing than a snapshot takes, or the platform doesn't
  keep the changes any more that come next.
- Where there is no snapshot, the log is followed.
- Not here: building a store of it (the `Builder`), and what is believed (edge.sync.snapshot).
"""

import asyncio
import logging
import math

from edge.sync.believer import Believer
from edge.sync.ports import Builder, BuildOrder, Central

SNAPSHOT_LAG = 100_000
"""Changes missing from which a snapshot is the shorter way."""
_LOG = logging.getLogger(__name__)


class SnapshotTaker:
    """Takes snapshots in for one follower. On the event loop."""

    def __init__(
        self, builder: Builder, central: Central, believer: Believer, every_s: float
    ) -> None:
        """Take what builds stores, whom to ask, who is to rest on them, and the pause of tries."""
        self._builder, self._central, self._believer = builder, central, believer
        self._gone, self._next, self._every_s = False, -math.inf, every_s

    @property
    def progress(self) -> str:
        """How far it is, in words; empty while none is taken in."""
        return self._builder.progress

    @property
    def due(self) -> bool:
        """Whether following is no way, or the longer one."""
        mark = self._believer.mark
        return self._gone or mark.cursor == 0 or mark.lag >= SNAPSHOT_LAG

    def gone(self) -> None:
        """Take note that the changes that come next aren't kept any more."""
        if not self._gone:
            self._gone, self._next = True, -math.inf

    async def take(self) -> None:
        """Take a snapshot in where that is due and there is one; what is held serves on.

        Raises:
            CentralError: The platform can't be reached or refused.
            FeedRefused: A trust rule is broken.
            StoreError: It couldn't be put down.
        """
        moment = asyncio.get_running_loop().time()
        if not self.due or moment < self._next:
            return
        self._next = moment + self._every_s
        if await self._central.timestamp() is None:
            return
        built = await self._builder.build(
            BuildOrder(base=self._believer.base, feed_keys=self._believer.feed_keys))
        await self._believer.adopt(built)
        self._gone = False
        _LOG.info("snapshot.adopted", extra={
            "cursor": built.mark.cursor, "records": built.records})
