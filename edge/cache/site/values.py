"""Small values that the nodes of a site share for a while, each sealed under the site's key.

- Asked within the deadline of a verdict; a failure is the same as having none, and opens the
  circuit.
- Written after what they are of is durable, off the way of the answer: a bounded queue, by one
  task; when it is full or Redis isn't asked, a value is left out.
- Not here: what the values mean.
"""

import asyncio

from edge.cache.site.circuit import SiteFault
from edge.cache.site.link import RedisLink
from edge.cache.site.memory import KEEPER_S, SiteMemory
from edge.cache.site.names import SiteKey
from edge.tasks import end_task

WAITING_MAX = 2_000
VALUE_BYTES_MAX = 64 * 1024


class SharedValues:
    """Values of one kind by 16-byte id. Lives once: start, stop."""

    def __init__(
        self, kind: str, kept_s: int, *, link: RedisLink, key: SiteKey, memory: SiteMemory,
        deadline_s: float,
    ) -> None:
        """Take the kind's name, how long a value is kept, and the way there."""
        self._kind, self._kept_s, self._deadline_s = kind, kept_s, deadline_s
        self._link, self._key, self._memory = link, key, memory
        self._waiting: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(WAITING_MAX)
        self._task: asyncio.Task[None] | None = None
        self.found = self.kept = self.left_out = 0

    async def find(self, id_: bytes) -> bytes | None:
        """Give the value of an id; None if there is none, it isn't the site's, or not in time."""
        if not self._memory.circuit.closed:
            return None
        name = self._key.value_name(self._kind, self._key.hide(id_))
        try:
            sealed = await self._link.get(name, self._deadline_s)
        except SiteFault as fault:
            self._memory.trip(fault)
            return None
        if sealed is None:
            return None
        value = self._key.open(name, sealed)
        if value is None:
            self._memory.count_foreign()
            return None
        self.found += 1
        return value

    def keep(self, id_: bytes, value: bytes) -> None:
        """Have a value written soon; takes microseconds."""
        closed = self._memory.circuit.closed
        if not closed or self._waiting.full() or len(value) > VALUE_BYTES_MAX:
            self.left_out += 1
            return
        self._waiting.put_nowait((id_, value))

    def start(self) -> None:
        """Begin to write; on the event loop."""
        self._task = asyncio.create_task(self._run(), name=f"kanhe-site-{self._kind}")

    async def stop(self) -> None:
        """End writing; what still waits is left out."""
        task, self._task = self._task, None
        await end_task(task)

    async def _run(self) -> None:
        while True:
            id_, value = await self._waiting.get()
            if not self._memory.circuit.closed:
                self.left_out += 1
                continue
            name = self._key.value_name(self._kind, self._key.hide(id_))
            try:
                await self._link.put(name, self._key.seal(name, value), self._kept_s, KEEPER_S)
                self.kept += 1
            except SiteFault as fault:
                self.left_out += 1
                self._memory.trip(fault)
