"""Several frames of one capture become one probe.

- Frames are of one person throughout, or the capture is refused.
- Features are added, weighted by the frames' quality. A frame in which the head is only turned
  away adds nothing, but its pose and its identity count; one that is blurred, dark or cut
  off shows neither and is passed over.
- What can be told of liveness without asking anything is told here: the pack's PAD, and
  whether the burst is one still picture.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.pose import estimate_pose
from edge.models.quality import CAPTURE_FLOORS, Floors, all_below, first_below
from edge.models.stills import is_still
from edge.models.view import Features, FrameView

AWAY = frozenset({"yaw", "pitch", "roll", "mirror"})
"""What is low in a head that is turned away and otherwise well seen."""


class BurstRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a pack says of its bursts.

    Attributes:
        pack: Id of the pack that made the features.
        same_person_min: Frames of one burst whose features' cosine is smaller aren't of one
            person.
        live_min: Smallest PAD score of a bona fide face, None without PAD.
        floors: Quality below which a frame isn't compared.
    """

    pack: str
    same_person_min: float
    live_min: float | None = None
    floors: Floors = CAPTURE_FLOORS


def fuse_views(
    views: Sequence[FrameView | ProbeFault], rules: BurstRules, timings_ms: dict[str, float]
) -> Probe | ProbeFault:
    """Fuse what was seen in the frames of one capture, in their order.

    Frames without a usable face are passed over as long as one is usable.
    """
    found: list[FrameView] = []
    fault = ProbeFault(Reason.FACE_ABSENT)
    for view in views:
        if isinstance(view, FrameView):
            found.append(view)
        elif view.reason is Reason.FACE_MULTIPLE:
            return view
        else:
            fault = view
    below = [all_below(view.components, rules.floors) for view in found]
    usable = [view for view, names in zip(found, below, strict=True) if not names]
    seen = [view for view, names in zip(found, below, strict=True) if AWAY.issuperset(names)]
    if not usable:
        return _told(found, rules) or fault
    best = max(usable, key=lambda view: view.quality)
    if not _is_one_person(seen, best, rules.same_person_min):
        return ProbeFault(Reason.FACE_MULTIPLE, "burst")
    fused = np.sum([view.features * view.quality for view in usable], axis=0)
    return Probe(
        pack=rules.pack, template=to_template(fused), quality=best.quality,
        components=best.components, timings_ms=timings_ms, checks=_check(seen, usable, rules),
        track=tuple(
            estimate_pose(view.points, view.scheme, view.width, view.height) for view in seen
        ),
    )


def to_template(features: Features) -> npt.NDArray[np.int8]:
    """Scale features by their own maximum to int8; the cosine needs no stored scale."""
    peak = float(np.abs(features).max())
    return np.asarray(np.rint(features * (127.0 / max(peak, 1e-12))), np.int8)


def _told(found: Sequence[FrameView], rules: BurstRules) -> ProbeFault | None:
    """Say what was wrong with the best of frames of which none is usable."""
    best = max(found, key=lambda view: view.quality, default=None)
    if best is None:
        return None
    return ProbeFault(Reason.FACE_QUALITY_LOW, first_below(best.components, rules.floors))


def _is_one_person(seen: Sequence[FrameView], best: FrameView, same_min: float) -> bool:
    """Tell whether every frame looks like the best one or, on a turn, like the one before."""
    before = best
    for view in seen:
        likeness = max(float(view.features @ best.features), float(view.features @ before.features))
        if likeness < same_min:
            return False
        before = view
    return True


def _check(
    seen: Sequence[FrameView], usable: Sequence[FrameView], rules: BurstRules
) -> dict[str, bool]:
    """Give what was checked of liveness, and whether it was passed."""
    checks = {}
    scores = [view.live for view in usable if view.live is not None]
    if rules.live_min is not None and scores:
        checks["passive"] = sum(scores) / len(scores) >= rules.live_min
    still = is_still(seen)
    if still is not None:
        checks["still"] = not still
    return checks
