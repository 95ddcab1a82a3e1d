"""Whose face it is, among the references most like it: an open-set answer.

- The threshold is that of the gallery's size (`edge.hotpath.rates.identification_fmr`); below it,
  or with a second too near, the answer is nobody.
- Nobody is refer, never reject: that a node doesn't know a face says nothing against it.
- Not here: the search (edge.cache.gallery) and the found holder's credential.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from edge.hotpath.credential import check_freshness, check_standing
from edge.hotpath.holder import (
    IDENTIFICATION,
    Probe,
    check_liveness,
    checks_of,
    checks_word,
    compare_templates,
    why_unusable,
)
from edge.hotpath.reasons import Reason
from edge.hotpath.renewal import whole
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.journal import FaceEvidence
from edge.protocol.records import CredentialRecord, ReferenceRecord, ScenePolicy, StatusRecord

Held = tuple[CredentialRecord, StatusRecord | None]
"""A credential and its status if that is anything but valid."""


def score_candidate(
    reference: ReferenceRecord, probe: Probe, policy: ScenePolicy, *, now: float
) -> float | None:
    """Compare exactly with one reference found; None if it may not be used for this.

    Args:
        reference: From the store, in stored space.
        probe: In the same space.
        policy: Of the scene.
        now: Unix seconds of this judgement.
    """
    strict = msgspec.structs.replace(policy, purpose=IDENTIFICATION)
    if why_unusable(reference, strict, now):
        return None
    if (reference.pack, reference.generation) != (probe.pack, probe.generation):
        return None
    stored = np.frombuffer(reference.template, np.int8)
    if stored.shape != probe.template.shape:
        return None
    left_over = np.frombuffer(reference.fine, np.int8) if reference.fine else None
    return compare_templates(whole(stored, left_over), whole(probe.template, probe.fine))


def check_identity(
    scores: Sequence[float],
    probe: Probe,
    point: tuple[float, float] | None,
    policy: ScenePolicy,
    *,
    gallery: int,
) -> tuple[Verdict, FaceEvidence | None]:
    """Judge whether the best of the scores names somebody.

    Args:
        scores: Of the best candidates, descending; may be empty.
        probe: Of the capture.
        point: (threshold, its FMR) that serves the scene at this gallery's size, None if the
            pack has none.
        policy: Of the scene.
        gallery: How many references were searched.

    Returns:
        The verdict, `ok` if the best is somebody, and the evidence if anything was compared.
    """
    # 1. The pack serves the error rate that a gallery of this size needs.
    if point is None:
        return verdict(Reason.PACK_UNFIT), None
    # 2. An attack outweighs any score; where a check is demanded, none means can't tell.
    checks = checks_of(probe, policy)
    attack = check_liveness(checks, policy)
    if attack is not None or not scores:
        return attack or verdict(Reason.NOBODY), None
    # 3. The best is above the threshold, and the second not too near.
    threshold, fmr = point
    margin = scores[0] - scores[1] if len(scores) > 1 else None
    evidence = FaceEvidence(
        score=round(scores[0], 4), threshold=threshold, fmr=fmr, model=probe.pack,
        pad=checks_word(checks), pad_checks=tuple(checks), gallery=gallery,
        margin=msgspec.UNSET if margin is None else round(margin, 4),
    )
    if scores[0] <= threshold:
        return verdict(Reason.NOBODY), evidence
    if margin is not None and margin < policy.identification_margin:
        return verdict(Reason.NOBODY), evidence
    return verdict(Reason.OK), evidence


def choose_credential(
    held: Sequence[Held], policy: ScenePolicy, *, now: float, status_age_s: int | None
) -> tuple[Held | None, Verdict]:
    """Choose the credential that speaks for an identified holder in this scene.

    Args:
        held: The holder's credentials.
        policy: Of the scene.
        now: Unix seconds of this judgement.
        status_age_s: Age of the status that the node holds, None if it never had any.

    Returns:
        The first in the policy's order of types against which nothing is known, else the first
        of an accepted type; and the verdict on it.
    """
    accepted = sorted(
        (item for item in held if item[0].type in policy.accepts),
        key=lambda item: (policy.accepts.index(item[0].type), item[0].credential_id))
    if not accepted:
        reason = Reason.CREDENTIAL_NOT_ACCEPTED_HERE if held else Reason.CREDENTIAL_UNKNOWN
        return None, verdict(reason)
    standing = [(item, check_standing(*item, policy, now=now)) for item in accepted]
    for item, found in standing:
        if found is None:
            stale = check_freshness(policy, status_age_s)
            return item, stale or verdict(Reason.OK)
    item, found = standing[0]
    assert found is not None
    return item, found
