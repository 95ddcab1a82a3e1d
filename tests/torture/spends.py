"""`make double-spend`: many attempts to spend codes twice at two nodes that share a Redis.

- Real processes on loopback: a platform, a Redis, two nodes of two processes each. ATTEMPTS
  (default 5,000) and SEED from the environment; 100,000 attempts are the full test.
- Meanwhile, at random: nodes and workers are killed (-9), nodes are restarted, Redis is killed,
  paused, flushed, and clocks are set back, some with a word of an administrator for it; then old
  codes are shown to whom they look fresh again.
- Never: two accepts of a code within one node, or two that said `site`. Accepts at two nodes of
  which one at least said `node` are counted apart: so it is documented of a site without its Redis.
- Ends by itself with a line of counts; exit 1 if a bound broke or the time was up.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.errors import OperatingError
from edge.models.convert import ensure_default_pack
from edge.protocol.kh1 import step_at
from tests.crew.site import children
from tests.torture.__main__ import PACKS, last_words
from tests.torture.showings import Found, Showings, count
from tests.torture.site_of_two import SiteNode, SiteOfTwo

CREDENTIALS, GATES = 1_000, 24
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 20.0)
"""Between two disturbances. A Redis that began anew isn't whole before some 15 s."""
SET_BACK_S = (2.0, 7.0, 30.0, 90.0)
START_S, ATTEMPT_S_MAX = 240.0, 0.02
"""The bound of a run: so long, and so long for every attempt."""
Say = Callable[[str], None]


class Ways:
    """What is done to the site, one thing at a time."""

    def __init__(self, site: SiteOfTwo, showings: Showings, chance: random.Random) -> None:
        self._site, self._showings, self._chance = site, showings, chance
        self.all: dict[str, Callable[[SiteNode], Awaitable[None]]] = {
            "node killed": self.node_killed, "node restarted": self.node_restarted,
            "worker killed": self.worker_killed, "Redis killed": self.redis_killed,
            "Redis paused": self.redis_paused, "Redis flushed": self.redis_flushed,
            "node and Redis killed": self.both_killed, "clock set back": self.clock_set_back,
            "clock set back and vouched for": self.clock_vouched,
            "clock set back over a restart": self.clock_restarted,
            "clock set back, Redis restarted": self.clock_and_redis,
        }

    async def one(self, name: str) -> str:
        """Do one thing, show the newest codes again, and say what was done."""
        node = self._chance.choice(self._site.nodes)
        await self.all[name](node)
        await self._showings.again(self._showings.newest())
        await self._showings.ask_again()
        return f"{node.name}: {name}"

    async def node_killed(self, node: SiteNode) -> None:
        await asyncio.to_thread(node.kill)
        await self._pause(0.0, 0.5)
        await asyncio.to_thread(node.start)

    async def node_restarted(self, node: SiteNode) -> None:
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)

    async def worker_killed(self, node: SiteNode) -> None:
        for pid in children(node.service.pid):
            os.kill(pid, signal.SIGKILL)

    async def redis_killed(self, _: SiteNode) -> None:
        self._site.redis.kill()
        await self._pause(0.0, 3.0)
        await asyncio.to_thread(self._site.redis.start)

    async def redis_paused(self, _: SiteNode) -> None:
        self._site.redis.pause()
        await self._pause(0.1, 2.0)
        self._site.redis.resume()

    async def redis_flushed(self, _: SiteNode) -> None:
        await asyncio.to_thread(self._site.redis.client().flushall)

    async def both_killed(self, node: SiteNode) -> None:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(self._site.redis.restart)
        await self._showings.again(self._showings.newest())
        await asyncio.to_thread(node.start)

    async def clock_set_back(self, node: SiteNode) -> None:
        await self._set_back(node, self._nothing, vouched=False)

    async def clock_vouched(self, node: SiteNode) -> None:
        await self._set_back(node, self._nothing, vouched=True)

    async def clock_restarted(self, node: SiteNode) -> None:
        await self._set_back(node, self.node_killed, vouched=True)

    async def clock_and_redis(self, node: SiteNode) -> None:
        """Let Redis begin anew under a clock that is wrong, and who accepted last be away."""
        (other,) = (each for each in self._site.nodes if each is not node)
        newest = self._showings.newest()
        await asyncio.to_thread(other.kill)
        node.set_clock(-self._chance.choice(SET_BACK_S[-2:]), vouched=True)
        await asyncio.to_thread(self._site.redis.restart)
        await self._pause(0.5, 3.0)
        node.set_clock(0.0, vouched=True)
        await self._showings.again(newest, node, times=3)
        await asyncio.to_thread(other.start)

    async def _set_back(
        self, node: SiteNode, then: Callable[[SiteNode], Awaitable[None]], *, vouched: bool
    ) -> None:
        back_s = self._chance.choice(SET_BACK_S)
        node.set_clock(-back_s, vouched=vouched)
        await then(node)
        # These look fresh to it now.
        for _ in range(3):
            await self._showings.again(
                self._showings.of_step(step_at(time.time() - back_s)), node)
            await self._pause(0.2, 1.0)
        node.set_clock(0.0, vouched=vouched)
        await self._showings.again(self._showings.newest(), times=2)

    async def _nothing(self, _: SiteNode) -> None:
        pass

    async def _pause(self, least_s: float, most_s: float) -> None:
        await asyncio.sleep(self._chance.uniform(least_s, most_s))


async def attempt(
    site: SiteOfTwo, showings: Showings, attempts: int, chance: random.Random, say: Say,
    names: tuple[str, ...] = (), pauses_s: tuple[float, ...] = PAUSES_S,
) -> Found:
    """Show and disturb until there were so many attempts, and each disturbance at least once.

    `names` are the disturbances, all without it.

    Raises:
        TimeoutError: There weren't in time.
    """
    ways, stop = Ways(site, showings, chance), asyncio.Event()
    chosen, due = list(names or ways.all), []
    left = set(chosen)
    running = asyncio.create_task(showings.run(stop))
    try:
        async with asyncio.timeout(START_S + attempts * ATTEMPT_S_MAX):
            while count(showings.shown).attempts < attempts or left:
                await asyncio.sleep(chance.choice(pauses_s))
                due = due or chance.sample(chosen, len(chosen))
                left.discard(due[-1])
                done = await ways.one(due.pop())
                now = count(showings.shown)
                say(f"{now.attempts:,} attempts of {attempts:,}; {done}; accepted twice: "
                    f"{now.within_node}, {now.with_site}, {now.at_two_nodes}")
                if running.done():
                    break
    finally:
        stop.set()
        await running
    for _ in range(2):
        await showings.ask_again()
        await asyncio.sleep(0.2)
    return count(showings.shown)


def last_line(found: Found) -> str:
    """Say in a line what was found."""
    return (f"{found.attempts:,} attempts, accepted twice within one node: {found.within_node}, "
            f"with scope site: {found.with_site}, "
            f"at two nodes while Redis was away: {found.at_two_nodes}")


def examples(showings: Showings) -> list[str]:
    """Give codes that broke a bound, as their steps and accepts."""
    return [f"step {item.step}: {item.accepts}" for item in showings.shown
            if count([item]).broken][:5]


async def main() -> int:
    """Run until all attempts were made."""
    attempts = int(os.environ.get("ATTEMPTS", "5000"))
    chance = random.Random(int(os.environ.get("SEED", "1")))
    ensure_default_pack(PACKS)
    with tempfile.TemporaryDirectory(prefix="kanhe-spends-") as name:
        site = SiteOfTwo(Path(name), PACKS)
        try:
            data = await site.begin(CREDENTIALS, GATES)
            showings = Showings(data, site.nodes, chance)
            found = await attempt(site, showings, attempts, chance,
                                  lambda text: print(text, flush=True))
        except (OperatingError, TimeoutError):
            last_words(site.folder)
            raise
        finally:
            site.stop()
    print(f"{len(showings.shown):,} codes; accepts by scope {dict(showings.scopes)}; "
          f"{dict(showings.reasons)}; {showings.unknown} never answered")
    print("\n".join([*examples(showings), last_line(found)]), flush=True)
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
