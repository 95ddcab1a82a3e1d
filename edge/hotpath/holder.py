"""The holder's face against the credential's reference: comparison and verdict.

- Values in, verdict out; features come from a model pack, thresholds from its
  operating points, decisions from the scene's policy.
- Comparison is the cosine of int8 templates (scaled by their own maximum, so no
  scale is stored), with what rounding left over where it is kept (edge.hotpath.renewal).
- A probe is compared only in the space of the reference: same pack, same generation.
- Not here: detection, alignment, embedding (edge.models).
"""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.renewal import whole
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import FaceEvidence
from edge.protocol.records import ReferenceRecord, ScenePolicy

Template = npt.NDArray[np.int8]
VERIFICATION, IDENTIFICATION = "verification", "identification"
"""What a holder may agree to: the comparison with a code shown, and being known without one."""
DAY_S = 86_400


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Fresh features of one capture.

    Attributes:
        pack: Id of the pack that made them.
        template: int8, shape (d,).
        quality: Unified quality, 0 (worst) to 1.
        components: Quality components by name, each 0 to 1 (ISO/IEC 29794-5 terms).
        pad: Presentation attack detection, `not_checked` without a PAD pack.
        fine: What rounding left over, int8, shape (d,), once it is in stored space.
        generation: Of the stored space it is in; 0 = as the pack made it.
        timings_ms: `decode`, `detect`, `align`, `embed`, `session_run` of this probe.
    """

    pack: str
    template: Template
    quality: float
    components: dict[str, float]
    pad: Literal["passed", "failed", "not_checked"] = "not_checked"
    fine: Template | None = None
    generation: int = 0
    timings_ms: dict[str, float] = {}


class ProbeFault(msgspec.Struct, frozen=True):
    """A capture that makes no probe: `face_absent`, `face_multiple` or `face_quality_low`.

    `why` names the failed quality component for the operator's words, if any.
    """

    reason: Reason
    why: str = ""


def compare_templates(
    a: Template | npt.NDArray[np.float32], b: Template | npt.NDArray[np.float32]
) -> float:
    """Give the cosine of two templates of the same shape, −1 to 1."""
    x = a.astype(np.float32, copy=False)
    y = b.astype(np.float32, copy=False)
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0.0 else 0.0


def admits(purpose: str, wanted: str) -> bool:
    """Tell whether a reference given for `purpose` may be used for `wanted`.

    Who agreed to be known without a code agreed to the comparison with one, not the other way.
    """
    return purpose in {wanted, IDENTIFICATION}


def why_unusable(reference: ReferenceRecord | None, policy: ScenePolicy, now: float) -> str:
    """Say why a reference may not be used: `none`, `expired`, `purpose`; empty if it may."""
    if reference is None:
        return "none"
    if reference.expires_s is not None and now >= reference.expires_s:
        return "expired"
    days = policy.reference_age_max_days
    if days is not None and now >= reference.created_s + days * DAY_S:
        return "expired"
    return "" if admits(reference.purpose, policy.purpose) else "purpose"


def check_holder(
    reference: ReferenceRecord | None,
    probe: Probe,
    point: tuple[float, float] | None,
    policy: ScenePolicy,
    *,
    now: float,
) -> tuple[Verdict, FaceEvidence | None]:
    """Judge whether the probe is of the credential's holder.

    Args:
        reference: The holder's reference for the probe's pack, None if there is none.
        probe: Of the capture.
        point: (threshold, its FMR) that serves the scene, None if the pack has none.
        policy: Of the scene.
        now: Unix seconds of this judgement.

    Returns:
        The verdict, and the evidence if a comparison was made.
    """
    # 1. The pack serves the scene's error rate, or the policy overrides it in words.
    if point is None:
        return verdict(Reason.PACK_UNFIT), None
    # 2. An attack outweighs any score; where a check is demanded, none means can't tell.
    if policy.pad != "off" and probe.pad == "failed":
        return verdict(Reason.ATTACK_DETECTED, Decision(policy.attack)), None
    if policy.pad == "required" and probe.pad == "not_checked":
        return verdict(Reason.PACK_UNFIT), None
    # 3. A reference of this pack, space and length that may still be used for this.
    if reference is None or why_unusable(reference, policy, now):
        return verdict(Reason.REFERENCE_MISSING), None
    if (reference.pack, reference.generation) != (probe.pack, probe.generation):
        return verdict(Reason.REFERENCE_MISSING), None
    stored = np.frombuffer(reference.template, np.int8)
    if stored.shape != probe.template.shape:
        return verdict(Reason.REFERENCE_MISSING), None
    # 4. The score is above the threshold.
    threshold, fmr = point
    left_over = np.frombuffer(reference.fine, np.int8) if reference.fine else None
    score = compare_templates(whole(stored, left_over), whole(probe.template, probe.fine))
    evidence = FaceEvidence(
        score=round(score, 4), threshold=threshold, fmr=fmr, model=probe.pack, pad=probe.pad
    )
    if score > threshold:
        return verdict(Reason.OK), evidence
    return verdict(Reason.NO_MATCH, Decision(policy.no_match)), evidence
