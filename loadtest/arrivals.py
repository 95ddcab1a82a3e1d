"""When requests arrive: decided before, whatever the node answers (open loop).

- Every shape has the same mean rate; times are seconds from the beginning, ascending.
- Drawn from a seed, so that two runs arrive alike.
"""

import random
from collections.abc import Callable, Iterator

import msgspec

PERIOD_S = 10.0
DUTY = 0.2


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How arrivals are spread.

    Attributes:
        name: `constant`, `poisson` or `burst`.
        period_s: A burst begins this often.
        duty: Share of a period in which a burst arrives; outside it nobody comes.
        seed: Of what is drawn.
    """

    name: str = "constant"
    period_s: float = PERIOD_S
    duty: float = DUTY
    seed: int = 1


def arrivals(shape: Shape, rate: float, duration_s: float) -> Iterator[float]:
    """Give the times at which requests are due.

    Args:
        shape: Their spread.
        rate: Mean arrivals a second, above 0.
        duration_s: Where they end.
    """
    for at in _SHAPES[shape.name](shape, rate):
        if at >= duration_s:
            return
        yield at


def _constant(_: Shape, rate: float) -> Iterator[float]:
    count = 0
    while True:
        yield count / rate
        count += 1


def _poisson(shape: Shape, rate: float) -> Iterator[float]:
    rng = random.Random(shape.seed)  # noqa: S311 - arrivals, not secrets
    at = 0.0
    while True:
        at += rng.expovariate(rate)
        yield at


def _burst(shape: Shape, rate: float) -> Iterator[float]:
    """Run a Poisson clock that stands still outside the bursts: a bus arrives, then nobody."""
    wide = shape.period_s * shape.duty
    for inside in _poisson(shape, rate / shape.duty):
        yield inside // wide * shape.period_s + inside % wide


_SHAPES: dict[str, Callable[[Shape, float], Iterator[float]]] = {
    "constant": _constant, "poisson": _poisson, "burst": _burst,
}
SHAPES = tuple(_SHAPES)
