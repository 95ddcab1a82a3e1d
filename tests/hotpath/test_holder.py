"""The rules of a reference: age, purpose, space; boundaries in triples."""

import msgspec
import numpy as np
import pytest

from edge.hotpath.holder import DAY_S, Comparison, Probe, admits, check_holder, why_unusable
from edge.hotpath.reasons import Reason
from edge.protocol.records import ReferenceRecord, ScenePolicy, Words

ROW = np.arange(-64, 64).astype(np.int8)
NOW = 1_800_000_000.0
REFERENCE = ReferenceRecord(holder_id=bytes(16), pack="p", template=ROW.tobytes(), created_s=0)
PROBE = Probe(pack="p", template=ROW, quality=1.0, components={})
POLICY = ScenePolicy(scene="s", version=1, title=Words("", ""), accepts=())


def judged(reference=REFERENCE, probe=PROBE, policy=POLICY, **differently):
    reference = msgspec.structs.replace(reference, **differently)
    comparison = Comparison(threshold=0.9, fmr=1e-3)
    found, evidence = check_holder(reference, probe, comparison, policy, now=NOW)
    return found.reason, evidence


def test_a_reference_as_the_policy_wants_it_is_compared():
    reason, evidence = judged()
    assert (reason, evidence.score) == (Reason.OK, 1.0)


@pytest.mark.parametrize("age_s,why", [
    (30 * DAY_S - 1, ""), (30 * DAY_S, "expired"), (30 * DAY_S + 1, "expired")])
def test_a_reference_older_than_the_policy_bears_is_expired(age_s, why):
    policy = msgspec.structs.replace(POLICY, reference_age_max_days=30)
    created_s = int(NOW) - age_s
    reference = msgspec.structs.replace(REFERENCE, created_s=created_s)
    assert why_unusable(reference, policy, NOW) == why
    assert why_unusable(reference, POLICY, NOW) == ""
    reason, evidence = judged(policy=policy, created_s=created_s)
    assert (reason is Reason.REFERENCE_MISSING, evidence is None) == (bool(why), bool(why))


@pytest.mark.parametrize("ahead_s,why", [(1, ""), (0, "expired"), (-1, "expired")])
def test_a_reference_ends_with_its_own_life(ahead_s, why):
    reference = msgspec.structs.replace(REFERENCE, expires_s=int(NOW) + ahead_s)
    assert why_unusable(reference, POLICY, NOW) == why


@pytest.mark.parametrize("given,wanted,used", [
    ("verification", "verification", True), ("identification", "verification", True),
    ("identification", "identification", True), ("verification", "identification", False),
    ("", "verification", False), ("marketing", "identification", False)])
def test_a_reference_serves_only_what_its_holder_agreed_to(given, wanted, used):
    assert admits(given, wanted) is used
    policy = msgspec.structs.replace(POLICY, purpose=wanted)
    reason, evidence = judged(policy=policy, purpose=given)
    assert (reason is Reason.OK) is used
    if not used:
        assert evidence is None
        reference = msgspec.structs.replace(REFERENCE, purpose=given)
        assert why_unusable(reference, policy, NOW) == "purpose"


@pytest.mark.parametrize("differently", [
    {"pack": "q"}, {"generation": 3}, {"template": ROW[:-1].tobytes()},
    {"template": b""}])
def test_what_is_of_another_space_is_never_compared(differently):
    assert judged(**differently) == (Reason.REFERENCE_MISSING, None)


def test_the_left_over_of_rounding_counts():
    fine = np.full(128, 100, np.int8)
    _, rough = judged()
    _, exact = judged(fine=fine.tobytes())
    assert exact.score < rough.score
