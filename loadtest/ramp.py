"""Finds capacity: steps up until a step fails, then halves the gap.

- A step holds if nearly everything asked was answered well and in time, at the 99th percentile
  too; the figure is the highest rate that held.
- Bounded in steps; the answer says how narrow the gap became.
"""

from collections.abc import Awaitable, Callable

import msgspec

from loadtest.tally import Tally

GOOD_SHARE_MIN = 0.99
GROWTH = 1.6
GAP = 0.08
STEPS_MAX = 14

Measure = Callable[[float], Awaitable[Tally]]


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What a ramp found.

    Attributes:
        rate: Highest rate that held, 0 if none did.
        failed_at: Lowest rate that failed; 0 if none did, so that the capacity is at least `rate`.
        runs: Every step, in order.
    """

    rate: float
    failed_at: float
    runs: tuple[Tally, ...]


def holds(tally: Tally) -> bool:
    """Tell whether a step's goodput is what was asked for, at the 99th percentile in time."""
    return (
        tally.good >= GOOD_SHARE_MIN * tally.due
        and tally.percentile_ms(99.0) <= tally.deadline_s * 1e3
    )


async def find_capacity(
    measure: Measure, start: float, rate_max: float, steps_max: int = STEPS_MAX
) -> Capacity:
    """Search for the highest rate that holds.

    Args:
        measure: Runs one step at a rate.
        start: First rate.
        rate_max: What the wallets at hand can bear; no step goes beyond it.
        steps_max: Bound of steps.
    """
    rate, held, failed = min(start, rate_max), 0.0, 0.0
    runs: list[Tally] = []
    while len(runs) < steps_max:
        tally = await measure(rate)
        runs.append(tally)
        if holds(tally):
            held = rate
        else:
            failed = rate
        if (failed and (failed - held) <= GAP * failed) or held >= rate_max:
            break
        if not failed:
            rate = min(held * GROWTH, rate_max)
        elif held:
            rate = (held + failed) / 2
        else:
            rate = failed / GROWTH / GROWTH
    return Capacity(rate=held, failed_at=failed, runs=tuple(runs))
