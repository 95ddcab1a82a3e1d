"""Which threshold serves a scene: from the pack's maker, the site, or the node's own cohort.

- Fitness (edge.hotpath.fitness) rests on measured points only: a cohort holds no genuine scores,
  so it says nothing of FNMR. It moves the threshold of a scene that is served anyway.
- Site points go before the pack's own; both are on the raw scale.
"""

from collections.abc import Callable, Sequence

import numpy as np

from edge.hotpath.card import CARD_SPACE
from edge.hotpath.fitness import Fitness, Source, judge_fitness
from edge.hotpath.holder import Comparison, Probe
from edge.hotpath.normalise import IDENTITIES_MIN, Calibration, CohortView, score_shift
from edge.protocol.records import ReferenceRecord, ScenePolicy


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
        if reference.generation == CARD_SPACE:
            # The cohort is rotated otherwise than this pair: it says nothing of their score.
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
