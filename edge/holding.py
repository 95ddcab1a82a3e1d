"""What a node holds of the city, and for how long: all, regions, who is expected, or who came.

- In `all` the feed brings and changes everything, in `region` everything of some regions. Otherwise
  the store holds what was asked for, each with its end, and the feed changes that.
- What has come to its end goes within seconds, after a restart at once; not while the clock can't
  be believed, which could be set ahead.
- What a snapshot took the place of is asked for again.
- Not here: tables (edge.cache.selective), asking (edge.pipeline.demand, edge.pipeline.arrivals).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from edge.cache.regions import NONE
from edge.cache.selective import SelectiveStore
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.errors import ConfigError, OperatingError
from edge.holding_config import Holding as HoldingConfig
from edge.holding_config import wrong_holding
from edge.hotpath.trust import Trust
from edge.pipeline.demand import Lookups
from edge.protocol.feed import Change, PutCredential
from edge.protocol.lookup import ASKED_MAX
from edge.sync.believer import Believer
from edge.sync.state import load_base, load_enrolment, meta_to_begin_again
from edge.tasks import end_task
from edge.web.status import HoldingShown

SWEEP_S = 5.0
AGAIN_S = 30.0
"""Pause after the platform didn't answer for what a snapshot took the place of."""
WITHIN_S = 5.0
NAMED_MAX = 50
"""Regions that a warning names."""
_LOG = logging.getLogger(__name__)


def settle_mode(config: EdgeConfig, store: SelectiveStore) -> None:
    """Make the store hold what the configuration says, before anybody reads or follows.

    What is no longer to be held is let go of. Where more is to be held than before, the feed is
    taken in from its beginning, as by a new node.

    Raises:
        ConfigError: Keys don't go together, or nothing would ever be held.
        StoreError: The store can't be written.
    """
    holding = config.holding
    wrong = wrong_holding(holding, config.central.lookup_ms)
    if wrong is not None:
        raise ConfigError(": ".join(wrong))
    regions = frozenset(holding.regions)
    if holding.mode != "all" and store.covers(regions):
        store.hold_part(holding.entries_max, regions)
    elif holding.mode != "all" or store.regions is not None:
        _LOG.warning("holding.anew", extra={"mode": holding.mode, "regions": sorted(regions)})
        enrolment = load_enrolment(store)
        base = load_base(store, enrolment) if enrolment is not None else None
        store.hold_anew(
            meta_to_begin_again(base) if base is not None else {},
            None if holding.mode == "all" else holding.entries_max, regions)


class Holding:
    """Puts down what was asked for, and lets go of it. Lives once: start, stop."""

    def __init__(
        self, *, config: HoldingConfig, store: SelectiveStore, believer: Believer,
        lookups: Lookups | None, clock: SystemClock, trust: Callable[[], Trust],
        count: Callable[[str, int], None],
    ) -> None:
        """Wire up; nothing runs before `start`.

        Args:
            config: Of the node.
            store: Holds.
            believer: Puts down beside the feed.
            lookups: Asks the platform; None = this node has no way there.
            clock: The node's.
            trust: Gives what the node trusts now.
            count: Hears how many went, and why.
        """
        self._config, self._store, self._believer = config, store, believer
        self._lookups, self._clock, self._trust, self._count = lookups, clock, trust, count
        self._counted: Counter[str] = Counter()
        self._again_at = float("-inf")
        self._said: frozenset[str] = NONE
        self._task: asyncio.Task[None] | None = None

    @property
    def shown(self) -> HoldingShown:
        """What is held now."""
        since_s, now = self._store.oldest_s, self._clock.now_s()
        return HoldingShown(
            mode=self._config.mode, entries=self._store.terms,
            entries_max=self._store.entries_max,
            oldest_age_s=None if since_s is None else max(0, int(now) - since_s),
            lapsed=dict(self._store.lapsed), regions=tuple(sorted(self._config.regions)),
            regions_unseen=tuple(sorted(self.unseen)))

    @property
    def unseen(self) -> frozenset[str]:
        """Regions that are configured and that nothing of the feed has named so far."""
        return frozenset(self._config.regions) - self._store.seen

    def end_of(self, until_s: int | None) -> int | None:
        """Give when something ends that is wanted until then; see the port `Holds`."""
        if until_s is not None and not 0 < until_s - self._clock.now_s() <= (
                self._config.arrivals_s_max):
            raise ValueError(
                f"until_s: Unix seconds in the next {self._config.arrivals_s_max} s")
        if self._config.mode == "all":
            return None
        return until_s or int(self._clock.now_s()) + self._config.ttl_s

    async def hold(self, changes: Sequence[Change]) -> None:
        """Put down what was asked for because its code was shown; see the port `Held`."""
        await self.hold_until(changes, int(self._clock.now_s()) + self._config.ttl_s)

    async def hold_until(self, changes: Sequence[Change], end_s: int | None) -> None:
        """Put down what was asked for; see the port `Holds`."""
        await self._believer.hold(changes, int(self._clock.now_s()), end_s or 0)
        self._count_lapsed()

    async def start(self) -> None:
        """Let go of what came to its end meanwhile, and begin to sweep.

        Raises:
            StoreError: The store can't be written.
        """
        if self._config.mode != "all":
            await self.sweep()
            self._task = asyncio.create_task(self._run(), name="kanhe-holding")

    async def stop(self) -> None:
        """End sweeping."""
        task, self._task = self._task, None
        await end_task(task)

    async def sweep(self) -> None:
        """Let go of what has come to its end.

        Raises:
            StoreError: The store can't be written.
        """
        now = self._clock.now_s()
        if self._clock.state == "untrusted":
            return
        while await self._believer.beside(partial(self._store.lapse, now)):
            pass
        self._count_lapsed()

    async def ask_again(self) -> None:
        """Ask for what a snapshot took the place of.

        Raises:
            OperatingError: It can't be had now.
        """
        while self._lookups is not None and self._trust().mode == "online":
            owed = await self._believer.beside(partial(self._store.owed, ASKED_MAX))
            if not owed:
                return
            ids = tuple(term.credential_id for term in owed)
            _, changes = await self._lookups.look_up(credential_ids=ids, within_s=WITHIN_S)
            # No end is given: each keeps its own.
            await self._believer.hold(changes)
            known = {item.credential.credential_id for item in changes
                     if isinstance(item, PutCredential)}
            gone = [id_ for id_ in ids if id_ not in known]
            await self._believer.beside(partial(self._store.let_go, gone))
        self._count_lapsed()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
                self.say_unseen()
                if loop.time() >= self._again_at:
                    await self.ask_again()
            except OperatingError as error:
                self._again_at = loop.time() + AGAIN_S
                _LOG.warning("holding.failed", extra={"why": str(error)})
            except Exception:
                # A fault of ours must not keep what is to go.
                _LOG.exception("holding.fault")

    def say_unseen(self) -> None:
        """Warn once of regions that the whole feed doesn't name: it is all here while online."""
        unseen = self.unseen
        if unseen - self._said and self._trust().mode == "online":
            _LOG.warning("holding.region_unknown", extra={
                "regions": sorted(unseen), "named": sorted(self._store.seen)[:NAMED_MAX],
                "why": "no record of the feed names them: is holding.regions written as the "
                       "central platform gives them to holders?"})
            self._said = unseen

    def _count_lapsed(self) -> None:
        for why, lapsed in self._store.lapsed.items():
            if lapsed > self._counted[why]:
                self._count(why, lapsed - self._counted[why])
                self._counted[why] = lapsed
