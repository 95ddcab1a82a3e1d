"""The holder's face against the credential's reference: comparison and verdict.

- Values in, verdict out; features come from a model pack, thresholds from its
  operating points, decisions from the scene's policy.
- Comparison is the cosine of int8 templates (scaled by their own maximum, so no
  scale is stored), with what rounding left over where it is kept (edge.hotpath.renewal).
- A probe is compared only in the space of the reference: same pack, same generation.
- Not here: detection, alignment, embedding (edge.models).
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.liveness import Pose
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.renewal import whole
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import FaceEvidence
from edge.protocol.records import ReferenceRecord, ScenePolicy

Template = npt.NDArray[np.int8]
VERIFICATION, IDENTIFICATION = "verification", "identification"
"""What a holder may agree to: the comparison with a code shown, and being known without one."""
DAY_S = 86_400

STRONG_CHECKS = ("passive", "challenge")
"""One of these must have been made where a policy requires PAD; that a burst isn't a still
picture is too little."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Fresh features of one capture.

    Attributes:
        pack: Id of the pack that made them.
        template: int8, shape (d,).
        quality: Unified quality, 0 (worst) to 1.
        components: Quality components by name, each 0 to 1 (ISO/IEC 29794-5 terms).
        checks: What was checked of liveness (`passive`, `still`, `challenge`), and whether it was
            passed.
        track: The head's pose in each frame that shows the face, in their order.
        fine: What rounding left over, int8, shape (d,), once it is in stored space.
        generation: Of the stored space it is in; 0 = as the pack made it.
        timings_ms: `decode`, `detect`, `align`, `embed`, `session_run` of this probe.
    """

    pack: str
    template: Template
    quality: float
    components: dict[str, float]
    checks: dict[str, bool] = {}
    track: tuple[Pose, ...] = ()
    fine: Template | None = None
    generation: int = 0
    timings_ms: dict[str, float] = {}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """How one comparison is scored and judged: a scale, and a threshold on it.

    Attributes:
        threshold: Match above it.
        fmr: What the threshold was fitted for.
        scale, calibration: As in `FaceEvidence`.
        shift: Taken from the cosine; 0 on the raw scale.
    """

    threshold: float
    fmr: float
    scale: Literal["raw", "normalised"] = "raw"
    calibration: Literal["pack", "site", "cohort"] = "pack"
    shift: float = 0.0


class ProbeFault(msgspec.Struct, frozen=True):
    """A capture that makes no probe: `face_absent`, `face_multiple`, `face_quality_low`; or none
    that answers its challenge: `challenge_expired`.

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


PAD_MISSING = "pad_missing"
"""Why a pack is unfit that serves the scene's error rate."""


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
    comparison: Comparison | None,
    policy: ScenePolicy,
    *,
    now: float,
) -> tuple[Verdict, FaceEvidence | None]:
    """Judge whether the probe is of the credential's holder.

    Args:
        reference: The holder's reference for the probe's pack, None if there is none.
        probe: Of the capture.
        comparison: What serves the scene's error rate, None if the pack has nothing.
        policy: Of the scene.
        now: Unix seconds of this judgement.

    Returns:
        The verdict, and the evidence if a comparison was made.
    """
    # 1. The pack serves the scene's error rate, or the policy overrides it in words.
    if comparison is None:
        return verdict(Reason.PACK_UNFIT), None
    # 2. An attack outweighs any score; where a check is demanded, none means can't tell.
    checks = checks_of(probe, policy)
    attack = check_liveness(checks, policy)
    # 3. A reference of this pack, space and length that may still be used for this.
    if reference is None or not _fits(reference, probe) or why_unusable(reference, policy, now):
        return attack or verdict(Reason.REFERENCE_MISSING), None
    stored = np.frombuffer(reference.template, np.int8)
    # 4. The score is above the threshold.
    left_over = np.frombuffer(reference.fine, np.int8) if reference.fine else None
    cosine = compare_templates(whole(stored, left_over), whole(probe.template, probe.fine))
    score = cosine - comparison.shift
    evidence = FaceEvidence(
        score=round(score, 4), threshold=round(comparison.threshold, 4), fmr=comparison.fmr,
        model=probe.pack, pad=checks_word(checks), pad_checks=tuple(checks),
        scale=comparison.scale, calibration=comparison.calibration,
    )
    if attack is not None:
        return attack, evidence
    return judge_score(score, comparison.threshold, policy), evidence


def judge_score(score: float, threshold: float, policy: ScenePolicy) -> Verdict:
    """Judge a score where liveness is no matter: a match is above the threshold."""
    if score > threshold:
        return verdict(Reason.OK)
    return verdict(Reason.NO_MATCH, Decision(policy.no_match))


def checks_of(probe: Probe, policy: ScenePolicy) -> dict[str, bool]:
    """Give the liveness checks that count here: without PAD, only a challenge does."""
    return {name: passed for name, passed in probe.checks.items()
            if policy.pad != "off" or name == "challenge"}


def why_of(
    found: Verdict, probe: Probe, reference: ReferenceRecord | None, policy: ScenePolicy,
    now: float, *, served: bool,
) -> str:
    """Name what is behind a verdict on a holder, empty where its reason says it all.

    `served` tells whether the pack serves the scene's error rate.
    """
    if found.reason is Reason.PACK_UNFIT:
        return PAD_MISSING if served else ""
    if found.reason is Reason.REFERENCE_MISSING:
        return why_unusable(reference, policy, now)
    if found.reason is Reason.CHALLENGE_EXPIRED:
        return "challenge_missing"
    if found.reason not in (Reason.ATTACK_DETECTED, Reason.CHALLENGE_FAILED):
        return ""
    return next(name for name, passed in checks_of(probe, policy).items() if not passed)


def check_liveness(checks: Mapping[str, bool], policy: ScenePolicy) -> Verdict | None:
    """Judge what was checked of liveness: an attack, a check that is missing, or None."""
    failed = [name for name, passed in checks.items() if not passed]
    if failed == ["challenge"]:
        return verdict(Reason.CHALLENGE_FAILED, Decision(policy.attack))
    if failed:
        return verdict(Reason.ATTACK_DETECTED, Decision(policy.attack))
    if policy.pad == "required" and not any(name in checks for name in STRONG_CHECKS):
        # A challenge needs no pack: where the scene knows them, one can still be met.
        unmet = policy.challenge == "if_available"
        return verdict(Reason.CHALLENGE_EXPIRED if unmet else Reason.PACK_UNFIT)
    return None


def _fits(reference: ReferenceRecord, probe: Probe) -> bool:
    """Tell whether a reference is of the probe's pack, space and length."""
    return (
        (reference.pack, reference.generation) == (probe.pack, probe.generation)
        and len(reference.template) == probe.template.size
    )


def checks_word(checks: Mapping[str, bool]) -> Literal["passed", "failed", "not_checked"]:
    """Give checks in one word."""
    if not checks:
        return "not_checked"
    return "passed" if all(checks.values()) else "failed"
