"""Several frames of one capture become one probe.

- Frames are of one person, or the capture is refused.
- Features are added, weighted by the frames' quality.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.view import Features, FrameView


class BurstRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack says of its bursts.

    Attributes:
        pack: Id of the pack that made the features.
        same_person_min: Frames of one burst whose features' cosine is smaller aren't of one
            person.
    """

    pack: str
    same_person_min: float


def fuse_views(
    views: Sequence[FrameView | ProbeFault], rules: BurstRules, timings_ms: dict[str, float]
) -> Probe | ProbeFault:
    """Fuse what was seen in the frames of one capture.

    Frames without a usable face are passed over as long as one is usable.
    """
    usable = []
    fault = ProbeFault(Reason.FACE_ABSENT)
    for view in views:
        if isinstance(view, FrameView):
            usable.append(view)
        elif view.reason is Reason.FACE_MULTIPLE:
            return view
        else:
            fault = view
    if not usable:
        return fault
    best = max(usable, key=lambda view: view.quality)
    if any(float(view.features @ best.features) < rules.same_person_min for view in usable):
        return ProbeFault(Reason.FACE_MULTIPLE, "burst")
    fused = np.sum([view.features * view.quality for view in usable], axis=0)
    return Probe(
        pack=rules.pack, template=to_template(fused), quality=best.quality,
        components=best.components, timings_ms=timings_ms,
    )


def to_template(features: Features) -> npt.NDArray[np.int8]:
    """Scale features by their own maximum to int8; the cosine needs no stored scale."""
    peak = float(np.abs(features).max())
    return np.asarray(np.rint(features * (127.0 / max(peak, 1e-12))), np.int8)
