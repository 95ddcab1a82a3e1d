"""The last minutes of a node in numbers, for a page that draws them: sampled now and then, bounded.

- A sample holds what happened since the one before it (answers by decision, times of answers and of
  stages) and what stands at its moment (work that waits, ages, what isn't shipped).
- Not here: long memory and alarms, which are Prometheus's.
"""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from edge.tally import BOUNDS_S, DECISIONS, STAGES_MAX, Tally, quantile

EVERY_S = 5.0
SAMPLES_MAX = 120
"""Ten minutes."""
_Values = dict[str, float | None]
_Counted = tuple[dict[str, int], list[int], dict[str, tuple[int, float]], int]


class TrendView(msgspec.Struct, frozen=True):
    """Every series by name, the oldest value first; None where there was none.

    Attributes:
        every_s: Seconds between two values.
        stages: Names of the stages that have a series `stage.<name>`, mean milliseconds.
        series: `accept`, `reject`, `retry`, `refer` in answers a second; `p50_ms`, `p99_ms`;
            stages; and whatever is read at the moment of a sample.
    """

    every_s: float
    stages: list[str]
    series: dict[str, list[float | None]]


class Trend:
    """Takes samples of a tally."""

    def __init__(self, tally: Tally, read: Callable[[], Mapping[str, float | None]]) -> None:
        """Begin without samples; `read` gives what stands at the moment."""
        self._tally, self._read = tally, read
        self._samples: deque[_Values] = deque(maxlen=SAMPLES_MAX)
        self._stages: list[str] = []
        self._before = self._counted()

    def sample(self, every_s: float = EVERY_S) -> None:
        """Take a sample; `every_s` is how long ago the last one was."""
        before, now = self._before, self._counted()
        self._before = now
        values: _Values = {
            name: (now[0][name] - before[0][name]) / every_s for name in DECISIONS}
        buckets = [a - b for a, b in zip(now[1], before[1], strict=True)]
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99)):
            at = quantile(buckets, BOUNDS_S, share)
            values[name] = None if at is None else at * 1e3
        for stage, (count, total_s) in now[2].items():
            if stage not in self._stages and len(self._stages) <= STAGES_MAX:
                self._stages.append(stage)
            count_before, total_before = before[2].get(stage, (0, 0.0))
            calls = count - count_before
            values[f"stage.{stage}"] = (total_s - total_before) / calls * 1e3 if calls else None
        values["turned_away"] = (now[3] - before[3]) / every_s
        values |= self._read()
        self._samples.append(values)

    def view(self) -> TrendView:
        """Give what was sampled."""
        names = dict.fromkeys(name for sample in self._samples for name in sample)
        series = {name: [_short(sample.get(name)) for sample in self._samples] for name in names}
        return TrendView(EVERY_S, self._stages, series)

    def _counted(self) -> _Counted:
        tally = self._tally
        return tally.decisions(), tally.answer_buckets(), tally.stage_sums(), tally.turned_away


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
