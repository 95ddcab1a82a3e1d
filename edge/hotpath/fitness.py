"""Whether measured points serve a scene: the FMR that it needs, the FNMR that it bears.

- A pack that can't serve a scene is unfit, unless the policy overrides that in words.
- Points by several makers are asked in their order; the first that serves is used.
- Not here: whose points there are, and cohorts (edge.pipeline.thresholds).
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from edge.hotpath.rates import Point, serving_point
from edge.protocol.records import ScenePolicy

Maker = Literal["pack", "site"]
Unfit = Literal["", "fmr_unserved", "fnmr_too_high", "fnmr_unknown"]
Source = tuple[Maker, Sequence[Point]]


class Fitness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a pack serves a scene.

    Attributes:
        why: Why not, empty if it does.
        point: The threshold used: the serving one, or, overridden, what comes nearest; None
            where the scene's verifications are referred.
        maker: Whose point that is.
    """

    why: Unfit
    point: Point | None
    maker: Maker = "pack"


def judge_fitness(policy: ScenePolicy, sources: Sequence[Source]) -> Fitness:
    """Judge whether measured points serve a scene.

    Args:
        policy: Of the scene.
        sources: Points by who measured them, the first that serves is used.
    """
    served: tuple[Maker, Point] | None = None
    for maker, points in sources:
        point = serving_point(points, policy.fmr_max)
        if point is not None:
            served = maker, point
            break
    why: Unfit = ""
    if served is None:
        why = "fmr_unserved"
    elif policy.fnmr_max is not None:
        fnmr = served[1].fnmr
        if fnmr is None:
            why = "fnmr_unknown"
        elif fnmr > policy.fnmr_max:
            why = "fnmr_too_high"
    if why and not policy.pack_override:
        return Fitness(why=why, point=None)
    if served is None:
        every = [(maker, point) for maker, points in sources for point in points]
        served = min(every, key=lambda item: item[1].fmr, default=None)
    if served is None:
        return Fitness(why=why, point=None)
    return Fitness(why=why, point=served[1], maker=served[0])
