"""What is spent at the site: asked after the node's own guard, by one script, within a time.

- A credential has one key, which holds its highest spent step. The script reads and writes it at
  once, so of two nodes that show the same presentation only one is told that it is fresh.
- `site` is said only of a step that Redis' memory is whole for. A mark in each shard names the
  server's run and a floor: a server that began anew, also a replica that became master, is another
  run, and every step that may have been spent before it is below the new floor.
- When Redis fails, what this node spends alone is kept and brought there before `site` is said
  again. Of two accepts of one presentation at most one therefore said `site`.
- Not here: the node's own guard, which comes first and counts alone whenever Redis doesn't.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from itertools import islice
from typing import Literal

import msgspec

from edge.cache.site import alone
from edge.cache.site.alone import Entry
from edge.cache.site.circuit import Circuit, SiteFault, State, no_info
from edge.cache.site.link import RedisLink
from edge.cache.site.names import RUN_CHARS, SHARDS, Mark, SiteKey
from edge.cache.site.scripts import LOOK, SET_MARK, SPEND
from edge.protocol.kh1 import step_at
from edge.protocol.steps import STEP_S
from edge.tally import Spread

MARK_KEPT_S = 600
"""How long Redis keeps a mark that nobody looks after."""
KEPT_S = 1_260
"""How long Redis keeps a spent step: longer than a mark and the widest drift window (605 s)
together, so that a server's clock that leaps ends the mark before anything that it vouches for."""
SKEW_STEPS = 1
"""By how much more than the drift window the clocks of a site's nodes may differ."""
FAR_STEPS = 12
"""A floor so far ahead was set by a clock that is wrong: it is set anew. A node that is so far
behind Redis' clock doesn't join."""
TIME_DIGITS_MAX = 17
"""Of Unix microseconds."""
MERGED_AT_ONCE = 64
KEEPER_S = 1.0
"""Time of a call that nobody waits for."""
Spent = Literal["site", "node", "spent"]


class Counts:
    """What happened, in plain numbers; `edge.readings` shows them.

    Attributes:
        spends: By what they came to: `site`, `node` or `spent`.
        faults: By state.
        twice: Presentations that another node had spent too, found when merging.
        seconds: How long verdicts waited for an answer that came in time.
    """

    def __init__(self) -> None:
        """Begin at nothing."""
        self.spends = {"site": 0, "node": 0, "spent": 0}
        self.faults: dict[State, int] = {}
        self.merged = self.twice = 0
        self.seconds = Spread()


class MemoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the memory is told of its node.

    Attributes:
        deadline_s: How long a verdict waits for Redis.
        now_step: The present step, by the node's clock.
        clock_believed: Whether marks may be made by it.
        window: Steps back and ahead, of the widest policy.
        recent: What the node's own guard spent from a step on; run on a thread.
    """

    deadline_s: float
    now_step: Callable[[], int]
    clock_believed: Callable[[], bool]
    window: Callable[[], tuple[int, int]]
    recent: Callable[[int], Iterator[tuple[bytes, int, bytes]]]


class SiteMemory:
    """Implements the pipeline's `SiteGuard`."""

    def __init__(self, link: RedisLink, key: SiteKey, options: MemoryOptions) -> None:
        """Wire up; nothing is asked before the first `join`."""
        self._link, self._key, self._options = link, key, options
        self.circuit, self.counts = Circuit(), Counts()
        self.troubled = asyncio.Event()
        self._marks: list[tuple[bytes, Mark] | None] = [None] * SHARDS
        self._alone: dict[bytes, Entry] = {}
        self._floor, self._recall_due = 0, True

    @property
    def scope(self) -> Literal["node", "site"]:
        """How far a presentation of this step would be spent."""
        return "site" if self.state == "shared" else "node"

    @property
    def state(self) -> State:
        """How the site's memory is, in one word."""
        if self.circuit.closed and self._options.now_step() <= self._floor:
            return "began_anew"
        return self.circuit.state

    @property
    def alone(self) -> int:
        """Credentials that were spent alone and aren't merged yet."""
        return len(self._alone)

    async def spend(self, credential_id: bytes, step: int, showing: bytes) -> Spent:
        """Spend a presentation at the site; see the port."""
        hidden, shown = self._key.hide(credential_id), self._key.hide(showing)
        found: Spent = "node"
        try:
            if self.circuit.closed:
                found = await self._ask(hidden, step, shown)
            else:
                self._keep(hidden, step, shown)
        except SiteFault as fault:
            self.trip(fault)
            self._keep(hidden, step, shown)
        self.counts.spends[found] += 1
        return found

    def trip(self, fault: SiteFault) -> None:
        """Go on alone until the keeper has joined again."""
        self.counts.faults[fault.state] = self.counts.faults.get(fault.state, 0) + 1
        self.circuit.open(fault, asyncio.get_running_loop().time())
        self.troubled.set()

    async def join(self) -> None:
        """Take part in the site's memory, or go on doing so; what was spent alone is brought there.

        Every mark is read and kept alive; one that doesn't vouch is made anew.

        Raises:
            SiteFault: Not now.
        """
        if not self._options.clock_believed():
            raise SiteFault("clock_untrusted", "this node's clock isn't believed: see clock_detail")
        rule = await self._link.forgets(KEEPER_S)
        if rule:
            raise SiteFault("evicting", f"Redis may forget what is spent ({rule}): set its "
                            "maxmemory-policy to noeviction")
        await _all(self._look(shard, KEEPER_S) for shard in range(SHARDS))
        self._floor = max(mark.floor for _, mark in filter(None, self._marks))
        self.circuit.merging()
        before = self.counts.merged
        if self._recall_due:
            loop = asyncio.get_running_loop()
            recalled = await loop.run_in_executor(None, self._recent)
            self._alone = alone.with_recalled(self._alone, recalled, self._least())
            self._recall_due = False
        await self._merge()
        # Whether verdicts would get their answer in time.
        await self._look(0, self._options.deadline_s)
        await self._merge()
        self.circuit.close(asyncio.get_running_loop().time(), self.counts.merged - before)

    async def _ask(self, hidden: bytes, step: int, shown: bytes) -> Spent:
        names = self._key.spent_names(hidden)
        value = self._key.write_spent(names[0], step, shown)
        loop = asyncio.get_running_loop()
        began = loop.time()
        held, mark, run = await self._spend(names, value, step, b"", self._options.deadline_s)
        self.counts.seconds.add(loop.time() - began)
        known = self._key.read_spent(names[0], held)
        if held and known is None:
            known = await self._replace(names, value, step, held, self._options.deadline_s)
            return "node" if known in (None, (step, shown)) else "spent"
        if known not in (None, (step, shown)):
            return "spent"
        vouched = self._marks[hidden[0] % SHARDS]
        if vouched is None or vouched[0] != mark or vouched[1].run != run:
            raise SiteFault("began_anew", "Redis' memory isn't the one that this node knew")
        return "site" if step > vouched[1].floor else "node"

    async def _spend(
        self, names: tuple[str, str], value: bytes, step: int, instead: bytes, within_s: float
    ) -> list[bytes]:
        return await self._link.run(SPEND, names, (value, step, KEPT_S, instead), within_s)

    async def _replace(
        self, names: tuple[str, str], value: bytes, step: int, foreign: bytes, within_s: float
    ) -> tuple[int, bytes] | None:
        """Put what this node knows in a foreign value's place; give what another put meanwhile."""
        self.count_foreign()
        held, _, _ = await self._spend(names, value, step, foreign, within_s)
        return self._key.read_spent(names[0], held)

    async def _look(self, shard: int, within_s: float) -> None:
        """Read a shard's mark, and make one where none vouches for this run."""
        name, before = self._key.mark_name(shard), self._marks[shard] or (b"", None)
        raw, run, time_us = await self._link.run(
            LOOK, (name,), (MARK_KEPT_S, before[0]), within_s)
        if len(run) != RUN_CHARS:
            raise no_info("run_id")
        mark, newest = self._known(name, raw), self._newest(time_us)
        if mark is None or mark.run != run or mark.floor > newest + FAR_STEPS:
            made = self._key.write_mark(name, Mark(run, newest))
            (raw,) = await self._link.run(SET_MARK, (name,), (raw, made, MARK_KEPT_S), within_s)
            mark = self._known(name, raw)
            if mark is None or mark.run != run:
                raise SiteFault("began_anew", "Redis' memory began anew while it was looked at")
        # What this node spent of late may be missing in a memory that began anew.
        self._recall_due |= before[0] != raw
        self._marks[shard] = (raw, mark)

    def _newest(self, time_us: bytes) -> int:
        """Give the highest step that anybody may have shown, by the later of two clocks.

        This node's may have been set back, and a floor by it alone would be too low.
        """
        # A server that says no time, or nonsense, is no witness.
        told = time_us.isdigit() and len(time_us) <= TIME_DIGITS_MAX
        here, there = self._options.now_step(), step_at(int(time_us) / 1e6) if told else 0
        if there > here + FAR_STEPS:
            raise SiteFault("clock_untrusted", f"this node's clock is {(there - here) * STEP_S} s "
                            "behind Redis': set right the one that is wrong")
        _, ahead = self._options.window()
        return max(here, there) + ahead + SKEW_STEPS

    def _known(self, name: str, raw: bytes) -> Mark | None:
        """Read a mark, None if there is none."""
        mark = self._key.read_mark(name, raw)
        if raw and mark is None:
            raise SiteFault(
                "foreign", f"{name} in Redis isn't this site's: give each site a redis.prefix of "
                "its own, and all nodes of a site the same key file")
        return mark

    def _keep(self, hidden: bytes, step: int, shown: bytes) -> None:
        """Keep what was spent alone, the highest step of each credential."""
        before = self._alone.pop(hidden, None)
        if before is None or before[0] <= step:
            before = (step, shown, True)
        self._alone[hidden] = before
        if len(self._alone) > alone.ALONE_MAX:
            del self._alone[next(iter(self._alone))]

    def _recent(self) -> dict[bytes, Entry]:
        """Give the newest that the node's own guard spent within the drift window. On a thread."""
        found, hide = alone.newest(self._options.recent(self._least())), self._key.hide
        return {hide(id_): (step, hide(showing), False) for id_, step, showing in found}

    def _least(self) -> int:
        """Give the lowest step that can still be shown anywhere."""
        back, _ = self._options.window()
        return self._options.now_step() - back - SKEW_STEPS

    async def _merge(self) -> None:
        """Bring to the site what can still be shown there, the newest first.

        Raises:
            SiteFault: Not all of it; what wasn't brought stays kept.
        """
        while self._alone:
            least = self._least()
            chunk = list(islice(reversed(self._alone.items()), MERGED_AT_ONCE))
            await _all(self._bring(*item) for item in chunk if item[1][0] >= least)
            for hidden, entry in chunk:
                if self._alone.get(hidden) == entry:
                    del self._alone[hidden]

    async def _bring(self, hidden: bytes, entry: Entry) -> None:
        step, shown, accepted = entry
        names = self._key.spent_names(hidden)
        value = self._key.write_spent(names[0], step, shown)
        held, _, _ = await self._spend(names, value, step, b"", KEEPER_S)
        known = self._key.read_spent(names[0], held)
        if held and known is None:
            known = await self._replace(names, value, step, held, KEEPER_S)
        if accepted and known is not None and known[0] == step and known[1] != shown:
            self.counts.twice += 1
        self.counts.merged += 1

    def count_foreign(self) -> None:
        """Count something in the site's place that isn't the site's."""
        self.counts.faults["foreign"] = self.counts.faults.get("foreign", 0) + 1


async def _all(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """Await all to the end, then raise the first failure."""
    for found in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found
