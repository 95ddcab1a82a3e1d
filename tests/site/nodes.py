"""Nodes of one site at the level of their guards: each with a memory of its own and the site's."""

import asyncio
import itertools
import time
from pathlib import Path

from edge.cache.guard import MappedReplayGuard
from edge.cache.site.memory import MemoryOptions
from edge.cache.site.place import LinkOptions
from edge.cache.site.site import Site, SiteOptions
from edge.node_key import NodeKey

SECRET = bytes(range(32))
OTHER_SECRET = bytes(range(1, 33))
BACK, AHEAD = 1, 1
DEADLINE_S = 1.5
"""Longer than by default: the machine of a test is busy, and may stand still for a second."""
HASTY_S = 0.25
"""Where Redis is to be found too slow."""
JOINED_S_MAX = 20.0
_numbers = itertools.count(1)


class Steps:
    """The present step of a site's nodes, moved by hand."""

    def __init__(self, now: int = 400_000_000) -> None:
        self.now = now

    def pass_floor(self) -> None:
        """Let so much time pass that a memory that began anew is whole."""
        self.now += 10


class GuardedNode:
    """A node's guard and its part in the site."""

    def __init__(
        self, folder: Path, url: str, steps: Steps, *, secret: bytes = SECRET,
        deadline_s: float = DEADLINE_S, prefix: str = "kanhe", **link: str,
    ) -> None:
        self.steps, self.cursor, self.woken = steps, 0, 0
        number = next(_numbers)
        self.guard = MappedReplayGuard(
            folder / f"guard-{number}", NodeKey(bytes([number % 256] * 32)).derive, boot_id=b"boot",
            restart_floor=0)
        self.options = SiteOptions(
            link=LinkOptions(url=url, **link), prefix=prefix, answers_kept_s=600,
            memory=MemoryOptions(
                deadline_s=deadline_s, now_step=lambda: steps.now, clock_believed=lambda: True,
                window=lambda: (BACK, AHEAD), recent=self.guard.recent),
            cursor=lambda: self.cursor, wake=self._wake)
        self.secret = secret
        self.open()

    def open(self) -> None:
        self.site = Site(self.secret, self.options)
        self.guard.site = self.site.memory
        self.site.start()

    @property
    def memory(self):
        return self.site.memory

    @property
    def state(self) -> str:
        return self.memory.state

    async def spend(self, credential: bytes, showing: bytes, step: int | None = None) -> str:
        """Spend as a verification does: first here, then at the site."""
        step = self.steps.now if step is None else step
        if not self.guard.spend(credential, step, showing, self.steps.now):
            return "spent"
        return await self.memory.spend(credential, step, showing)

    async def until(self, *states: str, within_s: float = JOINED_S_MAX) -> float:
        """Wait for a state, joined if it is one of a joined node; give how long that took."""
        began = time.monotonic()
        while self.state not in states or (
            self.state == "began_anew" and not self.memory.circuit.closed
        ):
            if time.monotonic() - began > within_s:
                raise AssertionError(f"{self.state} ({self.memory.circuit.why}), not {states}")
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def close(self) -> None:
        await self.site.stop()
        self.guard.close()

    def _wake(self) -> None:
        self.woken += 1


def credential(number: int) -> bytes:
    return number.to_bytes(16, "big")


def showing(number: int) -> bytes:
    return (1 << 100 | number).to_bytes(16, "big")
