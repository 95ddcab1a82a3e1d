"""A face that was compared then, under another policy: from score, threshold and checks.

- The comparison isn't made again: there is nothing left to compare. What it found is judged by the
  rule that judges live.
"""

import numpy as np

from edge.hotpath.fitness import judge_fitness
from edge.hotpath.holder import Probe, check_liveness, checks_of, judge_score
from edge.hotpath.identification import check_identity
from edge.hotpath.past import Missing, Past, recorded
from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import FaceEvidence

ROUNDED = 1e-4
"""To so much are scores and thresholds recorded."""
POINT_FIELDS = ("fmr_max", "fnmr_max", "pack_override")
REFERENCE_FIELDS = ("purpose", "reference_age_max_days")
LIVENESS_FIELDS = ("pad", "challenge", "challenge_actions")
FACE_FIELDS = ("face", *POINT_FIELDS, *REFERENCE_FIELDS, *LIVENESS_FIELDS)
SEARCH_FIELDS = ("fpir_max", "identification_margin", *FACE_FIELDS)
FAULTS = (Reason.FACE_ABSENT, Reason.FACE_MULTIPLE, Reason.FACE_QUALITY_LOW)
ATTACKS = (Reason.ATTACK_DETECTED, Reason.CHALLENGE_FAILED)


def judge_face(past: Past) -> Verdict | Missing:
    """Judge the face of a verification or capture whose code and credential hold."""
    record, policy, reason = past.record, past.policy, past.reason
    if policy.face == "off":
        return verdict(Reason.OK)
    stage = REASONS[reason].stage
    if stage not in (Stage.CAPTURE, Stage.BIOMETRIC) and record.face is None:
        return Missing.FACE
    if past.unchanged(*FACE_FIELDS) or reason in FAULTS:
        return recorded(past)
    if reason is Reason.CHALLENGE_EXPIRED and record.face is None:
        return recorded(past) if policy.challenge == "required" else Missing.FACE
    if record.face is None:
        return _uncompared(past)
    threshold = _threshold(past, record.face)
    if not isinstance(threshold, float):
        return threshold
    attack = _attack(past)
    if attack is not None:
        return attack
    return _score(past, record.face, threshold) if _usable(past) else Missing.REFERENCE


def judge_search(past: Past) -> Verdict | Missing:
    """Judge whether an identification names somebody; `ok` if it does."""
    evidence, policy = past.record.face, past.policy
    if past.reason in FAULTS:
        return recorded(past)
    if evidence is None:
        return recorded(past) if past.unchanged(*SEARCH_FIELDS) else Missing.FACE
    if not past.unchanged("fpir_max", *POINT_FIELDS):
        return Missing.THRESHOLD
    if not past.unchanged("reference_age_max_days"):
        return Missing.REFERENCE
    checks = _checks(past)
    if isinstance(checks, Missing):
        return checks
    margin, gallery = evidence.margin, evidence.gallery
    scores = [evidence.score]
    if isinstance(margin, float):
        scores.append(evidence.score - margin)
    found, _ = check_identity(
        scores, _probe(evidence.model, checks), (evidence.threshold, evidence.fmr), policy,
        gallery=gallery if isinstance(gallery, int) else 0)
    return found


def _checks(past: Past) -> dict[str, bool] | Missing:
    """Give the liveness checks of then that count now."""
    record, policy = past.record, past.policy
    failed = record.why if past.reason in ATTACKS else ""
    names = record.face.pad_checks if record.face else (failed,) if failed else ()
    if policy.challenge == "required" and "challenge" not in names:
        return Missing.CHALLENGE
    if policy.challenge == "off":
        names = tuple(name for name in names if name != "challenge")
    elif "challenge" in names and not past.unchanged("challenge_actions"):
        return Missing.CHALLENGE
    if policy.pad != "off" and not set(names) - {"challenge"} and (
            past.before is None or past.before.pad == "off"):
        return Missing.LIVENESS
    made = {name: name != failed for name in names}
    return checks_of(_probe("", made), policy)


def _attack(past: Past) -> Verdict | Missing | None:
    """Judge what was checked of liveness."""
    checks = _checks(past)
    return checks if isinstance(checks, Missing) else check_liveness(checks, past.policy)


def _uncompared(past: Past) -> Verdict | Missing:
    """Judge where a face was looked at and no score was made."""
    policy, reason = past.policy, past.reason
    if not past.unchanged(*POINT_FIELDS):
        return Missing.THRESHOLD
    if reason is Reason.PACK_UNFIT:
        return recorded(past) if past.unchanged("pad", "challenge") else Missing.FACE
    if reason is not Reason.REFERENCE_MISSING:
        return _attack(past) or Missing.REFERENCE
    # What was checked isn't recorded; nothing failed, and nothing that was required was missing.
    asked_less = policy.pad == "off" and policy.challenge != "required"
    if not asked_less and not past.unchanged(*LIVENESS_FIELDS):
        return Missing.LIVENESS
    kept = past.unchanged(*REFERENCE_FIELDS) or past.record.why == "none"
    return recorded(past) if kept else Missing.REFERENCE


def _threshold(past: Past, evidence: FaceEvidence) -> float | Verdict | Missing:
    """Give the threshold that serves the scene, or that none does."""
    policy, before = past.policy, past.before
    if past.unchanged(*POINT_FIELDS):
        return evidence.threshold
    measured = past.points.get(evidence.model)
    if measured and (evidence.scale, evidence.calibration) == ("raw", "pack"):
        fitness = judge_fitness(policy, [("pack", measured)])
        return verdict(Reason.PACK_UNFIT) if fitness.point is None else fitness.point.threshold
    # Between what was asked for and what served, the loosest point is the same one.
    served = before is not None and evidence.fmr <= policy.fmr_max <= before.fmr_max
    if served and past.unchanged("fnmr_max", "pack_override"):
        return evidence.threshold
    return Missing.THRESHOLD


def _usable(past: Past) -> bool:
    """Tell whether the reference that was compared surely may be used now, too."""
    policy, before = past.policy, past.before
    days = policy.reference_age_max_days
    then = before.reference_age_max_days if before else None
    older = days is None or (then is not None and then <= days)
    wider = policy.purpose == "verification" or past.unchanged("purpose")
    return older and wider


def _score(past: Past, evidence: FaceEvidence, threshold: float) -> Verdict | Missing:
    """Judge the score, unless rounding took away on which side of the threshold it is."""
    if abs(evidence.score - threshold) > ROUNDED:
        return judge_score(evidence.score, threshold, past.policy)
    same = abs(evidence.threshold - threshold) <= ROUNDED
    if same and past.reason in (Reason.OK, Reason.NO_MATCH):
        return recorded(past)
    return Missing.THRESHOLD


def _probe(pack: str, checks: dict[str, bool]) -> Probe:
    """Give a probe of which only the checks are left."""
    return Probe(pack=pack, template=np.zeros(0, np.int8), quality=0.0, components={},
                 checks=checks)
