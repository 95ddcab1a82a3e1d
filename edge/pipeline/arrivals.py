"""Expected holders: what a list of arrivals names is asked for beforehand.

- A gate names document numbers for a scene of its own, so many in an hour; the answer counts and
  never says whose is known. Numbers are neither kept nor journalled.
- They are asked for some at a time, until the call's deadline. What was not asked for then is left
  out of `asked`: the list may be sent again, which changes nothing for those who came already.
- Not here: what a term is (edge.cache.terms), and the call to the platform (edge.sync.lookup).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from edge.errors import OperatingError
from edge.hotpath.trust import Trust
from edge.pipeline.calls import ArrivalsCall, CentralUnreachable, TermInvalid
from edge.pipeline.demand import Lookups
from edge.pipeline.judgement import policy_of
from edge.pipeline.pace import GatePace
from edge.protocol.feed import Change
from edge.protocol.lookup import ASKED_MAX

WITHIN_S = 5.0
"""Longest that one of the calls to the platform may take."""
HOUR_S = 3_600


class ArrivalsShown(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `POST /v1/prefetch`.

    Attributes:
        named: Numbers in the list, each counted once.
        asked: Of them, asked for before the deadline.
        found: Of them, known to the platform; their credentials are held now.
        not_found: Of them, unknown there.
        until_s: Unix seconds until which they are held; None = as long as the feed has them.
    """

    named: int
    asked: int
    found: int
    not_found: int
    until_s: int | None


class Holds(Protocol):
    """Where what was found goes."""

    def end_of(self, until_s: int | None) -> int | None:
        """Give when something ends that is wanted until then; None = not by time.

        Raises:
            ValueError: It is over already, or too far ahead; its words say what is possible.
        """
        ...

    async def hold_until(self, changes: Sequence[Change], end_s: int | None) -> None:
        """Put records down beside what is held; a newer status stays.

        Raises:
            OperatingError: They couldn't be put down.
        """
        ...


class Arrivals:
    """Asks for those who are expected. On the event loop."""

    def __init__(
        self, *, trust: Callable[[], Trust], lookups: Lookups | None, into: Holds,
        note: Callable[[str, dict[str, str | int | float]], Awaitable[None]],
        count: Callable[[str, int], None], monotonic: Callable[[], float], per_hour: int,
    ) -> None:
        """Wire up.

        Args:
            trust: Gives what the node trusts now.
            lookups: Asks the platform; None = this node has no way there.
            into: Puts down what came, until its time.
            note: Journals.
            count: Hears of numbers: `found`, `unknown` or `failed`, and how many.
            monotonic: Gives seconds.
            per_hour: Numbers that a gate may name in an hour.
        """
        self._trust, self._lookups, self._into = trust, lookups, into
        self._note, self._count, self._monotonic = note, count, monotonic
        self._pace = GatePace(
            per_hour / HOUR_S, per_hour, per_hour / HOUR_S, monotonic)
        self._turn = asyncio.Lock()

    async def fetch(self, call: ArrivalsCall) -> ArrivalsShown:
        """Answer one `POST /v1/prefetch`.

        Raises:
            CallError: Scene unknown or not this gate's, times that can't be, nobody to ask.
            OperatingError: Rate, store or journal.
        """
        trust = self._trust()
        policy_of(trust, call.gate, call.scene)
        try:
            end_s = self._into.end_of(call.until_s)
        except ValueError as error:
            raise TermInvalid(str(error)) from None
        numbers = tuple(dict.fromkeys(number.strip().upper() for number in call.numbers))
        if self._lookups is None or trust.mode != "online":
            raise CentralUnreachable("the central platform is out of reach: send the list later")
        self._pace.take(call.gate.gate_id, calls=len(numbers))
        asked, found = await self._ask(self._lookups, numbers, end_s, call.deadline_s)
        await self._note("arrivals.fetched", {
            "gate": call.gate.gate_id, "scene": call.scene, "actor": call.actor,
            "named": len(numbers), "asked": asked, "found": found})
        return ArrivalsShown(named=len(numbers), asked=asked, found=found,
                             not_found=asked - found, until_s=end_s)

    async def _ask(
        self, lookups: Lookups, numbers: Sequence[str], end_s: int | None, deadline_s: float
    ) -> tuple[int, int]:
        """Ask for numbers, one list after the other; give how many were, and were found."""
        asked = found = 0
        while asked < len(numbers):
            some = numbers[asked:asked + ASKED_MAX]
            try:
                async with asyncio.timeout(deadline_s - self._monotonic()), self._turn:
                    left_s = min(WITHIN_S, deadline_s - self._monotonic())
                    known, changes = await lookups.look_up(numbers=some, within_s=left_s)
                await self._into.hold_until(changes, end_s)
            except (TimeoutError, OperatingError) as error:
                self._count("failed", len(some))
                if asked:
                    break
                raise CentralUnreachable(
                    "the central platform didn't answer in time: send the list later") from error
            asked, found = asked + len(some), found + known
            self._count("found", known)
            self._count("unknown", len(some) - known)
        return asked, found
