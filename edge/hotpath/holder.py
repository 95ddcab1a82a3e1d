"""The holder's face against the credential's reference: comparison and verdict.

- Values in, verdict out; features come from a model pack, thresholds from its
  operating points, decisions from the scene's policy.
- Comparison is the cosine of int8 templates (scaled by their own maximum, so no
  scale is stored).
- Not here: detection, alignment, embedding (edge.models).
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.liveness import Pose
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import FaceEvidence
from edge.protocol.records import ReferenceRecord, ScenePolicy

Template = npt.NDArray[np.int8]

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
        timings_ms: `decode`, `detect`, `align`, `embed`, `session_run` of this probe.
    """

    pack: str
    template: Template
    quality: float
    components: dict[str, float]
    checks: dict[str, bool] = {}
    track: tuple[Pose, ...] = ()
    timings_ms: dict[str, float] = {}


class ProbeFault(msgspec.Struct, frozen=True):
    """A capture that makes no probe: `face_absent`, `face_multiple`, `face_quality_low`; or none
    that answers its challenge: `challenge_expired`.

    `why` names the failed quality component for the operator's words, if any.
    """

    reason: Reason
    why: str = ""


def compare_templates(a: Template, b: Template) -> float:
    """Give the cosine of two int8 templates of the same shape, −1 to 1."""
    x = a.astype(np.float32)
    y = b.astype(np.float32)
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0.0 else 0.0


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
    checks = checks_of(probe, policy)
    attack = _check_liveness(checks, policy)
    # 3. A reference of this pack and length that may still be used.
    stored = _usable(reference, probe, now)
    if stored is None:
        return attack or verdict(Reason.REFERENCE_MISSING), None
    # 4. The score is above the threshold.
    threshold, fmr = point
    score = compare_templates(stored, probe.template)
    evidence = FaceEvidence(
        score=round(score, 4), threshold=threshold, fmr=fmr, model=probe.pack,
        pad=_in_a_word(checks), pad_checks=tuple(checks),
    )
    if attack is not None:
        return attack, evidence
    if score > threshold:
        return verdict(Reason.OK), evidence
    return verdict(Reason.NO_MATCH, Decision(policy.no_match)), evidence


def checks_of(probe: Probe, policy: ScenePolicy) -> dict[str, bool]:
    """Give the liveness checks that count here: without PAD, only a challenge does."""
    return {name: passed for name, passed in probe.checks.items()
            if policy.pad != "off" or name == "challenge"}


def why_of(found: Verdict, probe: Probe, policy: ScenePolicy) -> str:
    """Name the check behind a verdict on liveness, empty for any other verdict."""
    if found.reason is Reason.CHALLENGE_EXPIRED:
        return "challenge_missing"
    if found.reason not in (Reason.ATTACK_DETECTED, Reason.CHALLENGE_FAILED):
        return ""
    return next(name for name, passed in checks_of(probe, policy).items() if not passed)


def _check_liveness(checks: Mapping[str, bool], policy: ScenePolicy) -> Verdict | None:
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


def _usable(
    reference: ReferenceRecord | None, probe: Probe, now: float
) -> Template | None:
    if reference is None or reference.pack != probe.pack:
        return None
    if reference.expires_s is not None and now >= reference.expires_s:
        return None
    stored = np.frombuffer(reference.template, np.int8)
    return stored if stored.shape == probe.template.shape else None


def _in_a_word(checks: Mapping[str, bool]) -> Literal["passed", "failed", "not_checked"]:
    if not checks:
        return "not_checked"
    return "passed" if all(checks.values()) else "failed"
