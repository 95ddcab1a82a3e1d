"""Cards at a desk that never heard of the holder: accepted by code and face, and no further."""

import msgspec
import pytest

from edge.hotpath.reasons import Reason
from edge.protocol.feed import PutCredential
from edge.protocol.journal import decode_record
from edge.protocol.records import Disclosure, Status
from tests.attacks.card_story import StrangersDesk
from tests.pipeline.desk import DAY, NOW, OWNER, STEP, STRANGER
from tests.pipeline.test_decisions import Counter


@pytest.fixture
def desk(tmp_path):
    desk = StrangersDesk(tmp_path)
    yield desk
    desk.close()


async def test_code_and_face_are_enough_where_nothing_is_held(desk):
    answer = await desk.shown(desk.card())
    assert (answer.decision, answer.reason) == ("accept", "ok")
    assert answer.face.score > 0.99
    assert answer.disclosed == {"name": "马**"}
    assert answer.credential.type == "resident_id"
    assert (answer.evidence.source, answer.evidence.status_age_s) == ("card", 60)
    record = decode_record(list(desk.journal.recent(0))[-1][1])
    assert record.evidence.source == "card"
    assert (record.credential_type, record.credential_status) == ("resident_id", "valid")


async def test_another_face_does_not_match_and_the_code_is_spent_once(desk):
    assert (await desk.shown(desk.card(), face=STRANGER)).reason == Reason.NO_MATCH
    assert (await desk.shown(desk.card())).reason == Reason.PRESENTATION_REPLAYED


async def test_a_face_may_follow_the_code_of_a_card(desk):
    first = await desk.shown(desk.card(), face=None)
    assert first.reason == Reason.FACE_ABSENT
    then = await desk.verifier.capture(desk.capture(first.verification_id, OWNER))
    assert then.answer.reason == Reason.OK


@pytest.mark.parametrize("status,reason", [
    (Status.VALID, Reason.OK), (Status.SUSPENDED, Reason.CREDENTIAL_SUSPENDED),
    (Status.REVOKED, Reason.CREDENTIAL_REVOKED)])
async def test_the_status_list_speaks_for_a_card(desk, status, reason):
    desk.learn(status)
    assert (await desk.shown(desk.card())).reason == reason


async def test_the_feed_speaks_for_a_card_too(desk):
    desk.set_status(Status.REVOKED)
    assert (await desk.shown(desk.card())).reason == Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize("policy,decision", [("refer", "refer"), ("reject", "reject")])
async def test_an_unknown_status_is_not_valid(desk, policy, decision):
    desk.policy("face", trust_stale=policy)
    desk.forget_lists()
    answer = await desk.shown(desk.card())
    assert (answer.decision, answer.reason) == (decision, "trust_stale")
    desk.learn(Status.VALID, life_s=60)
    assert (await desk.shown(desk.card())).reason == Reason.TRUST_STALE
    assert (await desk.shown(desk.card(status=None))).reason == Reason.TRUST_STALE
    desk.learn(Status.VALID, life_s=61)
    assert (await desk.shown(desk.card())).reason == Reason.OK


async def test_a_list_that_has_run_out_still_knows_who_was_revoked(desk):
    desk.learn(Status.REVOKED, life_s=1)
    assert (await desk.shown(desk.card())).reason == Reason.CREDENTIAL_REVOKED


async def test_the_scenes_own_bound_of_age_counts_for_lists(desk):
    desk.policy("face", trust_age_max_s=59)
    assert (await desk.shown(desk.card())).reason == Reason.TRUST_STALE
    desk.policy("face", trust_age_max_s=60)
    assert (await desk.shown(desk.card())).reason == Reason.OK


async def test_a_policy_may_take_the_cards_own_day_as_fresh_enough(desk):
    desk.forget_lists()
    desk.policy("face", cards="without_status")
    answer = await desk.shown(desk.card())
    assert (answer.reason, answer.evidence.status_age_s) == ("ok", 0)


async def test_a_scene_that_reads_no_cards_and_a_node_without_keys_ignore_them(desk):
    desk.policy("face", cards="off")
    assert (await desk.shown(desk.card())).reason == Reason.CREDENTIAL_UNKNOWN
    assert (await desk.shown(b"not a card")).reason == Reason.CREDENTIAL_UNKNOWN
    desk.policy("face", cards="with_status")
    desk.trust = msgspec.structs.replace(desk.trust, card_keys=())
    assert (await desk.shown(desk.card())).reason == Reason.CREDENTIAL_UNKNOWN


async def test_what_the_node_holds_is_fresher_than_the_card(desk):
    held = desk.credential(valid_until_s=int(NOW))
    desk.put(PutCredential(held))
    answer = await desk.shown(desk.card())
    assert (answer.reason, answer.evidence.source) == ("credential_expired", "store")


async def test_the_list_is_a_second_witness_for_what_the_node_holds(desk):
    desk.put(PutCredential(desk.credential()))
    desk.learn(Status.REVOKED)
    assert (await desk.shown(desk.card(), "code")).reason == Reason.CREDENTIAL_REVOKED
    # The feed is newer than this list, and says by its silence that the suspension is over.
    desk.learn(Status.SUSPENDED)
    assert (await desk.shown(desk.card(), "code")).reason == Reason.OK


@pytest.mark.parametrize("record,reason", [
    ({"valid_until_s": int(NOW)}, Reason.CREDENTIAL_EXPIRED),
    ({"valid_from_s": int(NOW) + 1}, Reason.CREDENTIAL_EXPIRED),
    ({"type": "driving_licence"}, Reason.CREDENTIAL_NOT_ACCEPTED_HERE)])
async def test_a_carried_credential_must_stand_like_any_other(desk, record, reason):
    assert (await desk.shown(desk.card(record=record))).reason == reason


async def test_a_card_without_a_usable_reference_is_referred(desk):
    answer = await desk.shown(desk.card(face=None))
    assert (answer.decision, answer.reason) == ("refer", "reference_missing")
    desk.policy("face", reference_age_max_days=1)
    assert (await desk.shown(desk.card(), step=STEP + 1)).reason == Reason.REFERENCE_MISSING


async def test_a_person_cannot_outvote_a_revocation_that_came_by_the_feed(tmp_path):
    counter = Counter(StrangersDesk(tmp_path))
    counter.desk.forget_lists()
    first = await counter.verify(code=counter.desk.sealed(counter.desk.card()), face=OWNER)
    assert first.reason == Reason.TRUST_STALE
    counter.desk.set_status(Status.REVOKED)
    decided = await counter.decide(first.verification_id)
    assert (decided.decision, decided.reason) == ("reject", "credential_revoked")
    counter.desk.close()


async def test_a_full_field_is_shown_as_the_card_has_it_masked(desk):
    desk.policy("face", disclose=(Disclosure("name", "full"),))
    assert (await desk.shown(desk.card())).disclosed == {"name": "马**"}


async def test_the_last_seconds_card_holds_into_the_next_day(desk):
    end = (DAY + 1) * 86_400
    desk.clock.now = end + 1.0
    desk.learn(Status.VALID, life_s=10**6)
    answer = await desk.shown(desk.card(), step=end // 5 - 1)
    assert answer.reason == Reason.OK
