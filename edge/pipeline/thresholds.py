"""Which threshold serves a scene: from the pack's maker, the site, or the node's own cohort.

- A scene names the FMR that it needs and the FNMR that it bears; a pack that can't serve it
  is unfit, unless the policy overrides that in words.
- Fitness rests on measured points only: a cohort holds no genuine scores, so it says
  nothing of FNMR. It moves the threshold of a scene that is served anyway.
- Site points go before the pack's own; both are on the raw scale.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np

from edge.hotpath.holder import Comparison, Probe
from edge.hotpath.normalise import IDENTITIES_MIN, Calibration, CohortView, score_shift
from edge.hotpath.rates import Point, serving_point
from edge.protocol.records import ReferenceRecord, ScenePolicy

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


class SceneRates:
    """Implements `ErrorRates`."""

    def __init__(
        self, sources: Sequence[Source], *,
        cohort: Callable[[], CohortView | None] = lambda: None,
        calibration: Callable[[], Calibration | None] = lambda: None,
    ) -> None:
        """Take measured points; `cohort` and `calibration` give None where there is none."""
        self._sources = sources
        self._cohort, self._calibration = cohort, calibration

    def fitness(self, policy: ScenePolicy) -> Fitness:
        """Judge whether the pack serves a scene."""
        return judge_fitness(policy, self._sources)

    def comparison(
        self, policy: ScenePolicy, probe: Probe, reference: ReferenceRecord | None
    ) -> Comparison | None:
        """Say how this comparison is scored and judged, None if the pack is unfit."""
        fitness = self.fitness(policy)
        if fitness.point is None:
            return None
        raw = Comparison(threshold=fitness.point.threshold, fmr=fitness.point.fmr,
                         calibration=fitness.maker)
        view, calibration = self._cohort(), self._calibration()
        if view is None or calibration is None or reference is None:
            return raw
        point = calibration.point(policy.fmr_max)
        stored = np.frombuffer(reference.template, np.int8)
        width = (view.rows.shape[1],)
        if (point is None or len(view) < IDENTITIES_MIN
                or stored.shape != width or probe.template.shape != width):
            return raw
        return Comparison(
            threshold=point.threshold, fmr=point.fmr, scale="normalised", calibration="cohort",
            shift=score_shift(view, probe.template, stored, reference.holder_id),
        )
