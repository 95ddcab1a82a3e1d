"""Challenges: the node's choice, one gate's and one scene's, for seconds, once."""

import itertools
import random
from collections import Counter

import msgspec
import pytest

from edge.errors import CapacityError
from edge.hotpath.holder import ProbeFault
from edge.hotpath.liveness import TURNS, Action, Pose
from edge.pipeline.calls import ChallengeOff, SceneForbidden, SceneUnknown, VerificationUnknown
from edge.pipeline.challenges import OPEN_PER_GATE_MAX, Challenges, choose_actions
from edge.protocol.journal import FaceEvidence, VerificationRecord, decode_record
from edge.protocol.records import ScenePolicy
from tests.pipeline.desk import (
    BLURRED,
    FACE,
    GATE,
    NOBODY,
    OTHER_GATE,
    OWNER,
    STRANGER,
    Desk,
    picture_of,
)

WIDE = msgspec.structs.replace(GATE, scenes=("face", "second"))
OTHER = msgspec.structs.replace(OTHER_GATE, scenes=("face",))
POLICY = msgspec.structs.replace(FACE, challenge="required", challenge_actions=2)


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    desk.policy("face", challenge="required", challenge_actions=1)
    yield desk
    desk.close()


def doing(*actions):
    """Give the poses of somebody who does these in turn, from the front and back."""
    track = [Pose(0.0, 0.0, 0.0, 0.0, 0.1)]
    for action in actions:
        for share in (0.5, 1.0, 0.5, 0.0):
            turn = 26 * share * {Action.TURN_LEFT: 1, Action.TURN_RIGHT: -1}.get(action, 0)
            track.append(Pose(turn, turn, 20 * share * (action is Action.LOOK_UP), 0.0,
                              0.1 * (1 + 0.5 * share * (action is Action.COME_NEARER))))
    return tuple(track)


def mirrored(track):
    return tuple(Pose(-p.yaw_deg, -p.turn_deg, p.pitch_deg, -p.roll_deg, p.nearness)
                 for p in track)


def asked(desk, scene="face", gate=GATE):
    shown = desk.verifier.challenge(gate, scene)
    desk.face.track = doing(*shown.actions)
    return shown


async def answer(desk, challenge_id, face=OWNER, **more):
    """Answer with the next code."""
    desk.clock.now += 5
    more.setdefault("code", desk.code(int(desk.clock.now // 5)))
    call = desk.call("face", face=face, challenge=challenge_id, **more)
    return (await desk.verifier.verify(call)).answer


async def test_doing_what_was_asked_is_accepted_and_said(desk):
    shown = asked(desk)
    found = await answer(desk, shown.challenge_id)
    assert (found.decision, found.reason) == ("accept", "ok")
    assert (found.face.pad, found.face.pad_checks) == ("passed", ("challenge",))
    assert desk.seen.records[-1].face.pad_checks == ("challenge",)


@pytest.mark.parametrize("decision", ["reject", "refer"])
async def test_the_mirror_image_of_what_was_asked_is_refused_by_policy(desk, decision):
    desk.policy("face", attack=decision)
    shown = asked(desk)
    desk.face.track = mirrored(desk.face.track)
    found = await answer(desk, shown.challenge_id)
    assert (found.decision, found.reason) == (decision, "challenge_failed")
    assert found.face.pad == "failed"
    assert found.disclosed is None
    assert desk.seen.records[-1].why == "challenge"
    with pytest.raises(VerificationUnknown):
        await desk.verifier.capture(desk.capture(found.verification_id, OWNER))


async def test_a_challenge_met_by_a_stranger_is_no_match(desk):
    found = await answer(desk, asked(desk).challenge_id, face=STRANGER)
    assert (found.reason, found.face.pad) == ("no_match", "passed")


async def test_none_sent_is_asked_for_and_the_verification_stays_open(desk):
    found = await answer(desk, None)
    assert (found.decision, found.reason, found.next) == (
        "retry", "challenge_expired", "challenge")
    assert "screen" in found.message.en
    shown = asked(desk)
    call = desk.capture(found.verification_id, OWNER, challenge=shown.challenge_id)
    later = (await desk.verifier.capture(call)).answer
    assert (later.reason, later.face.pad) == ("ok", "passed")


async def test_where_a_challenge_is_required_a_face_is_asked_for_with_one(desk):
    for face in (None, NOBODY, BLURRED):
        found = await answer(desk, asked(desk).challenge_id, face=face)
        assert (found.decision, found.next) == ("retry", "challenge")


@pytest.mark.parametrize("spoil", [
    lambda desk, shown: "0" * 32, lambda desk, shown: "", lambda desk, shown: "x" * 5000,
    lambda desk, shown: shown.challenge_id.upper() + "0",
    lambda desk, shown: asked(desk, gate=OTHER).challenge_id,
    lambda desk, shown: asked(desk, scene="second", gate=WIDE).challenge_id,
], ids=["unknown", "empty", "long", "altered", "another gate's", "another scene's"])
async def test_a_challenge_that_is_not_this_gates_and_scenes_is_as_good_as_none(desk, spoil):
    desk.trust = msgspec.structs.replace(desk.trust, policies={
        **desk.trust.policies,
        "second": msgspec.structs.replace(desk.trust.policies["face"], scene="second")})
    found = await answer(desk, spoil(desk, asked(desk, gate=WIDE)), gate=WIDE)
    assert (found.decision, found.reason, found.next) == (
        "retry", "challenge_expired", "challenge")
    assert found.face is None


async def test_a_challenge_is_spent_once_whatever_came_of_it(desk):
    shown = asked(desk)
    assert (await answer(desk, shown.challenge_id, face=BLURRED)).reason == "face_quality_low"
    again = await answer(desk, shown.challenge_id)
    assert again.reason == "challenge_expired"


async def test_the_same_request_gets_the_same_answer_and_spends_nothing_twice(desk):
    shown, code = asked(desk), desk.code()
    first, second = [await answer(desk, shown.challenge_id, code=code, request="r")
                     for _ in range(2)]
    assert first == second
    assert first.reason == "ok"


@pytest.mark.parametrize("late_s,reason", [(-0.01, "ok"), (0.0, "challenge_expired")])
async def test_a_challenge_lives_for_its_seconds(desk, late_s, reason):
    now = itertools.chain([100.0, 100.0 + FACE.challenge_open_s + late_s], itertools.repeat(0))
    desk.verifier.challenges = Challenges(lambda: next(now))
    assert (await answer(desk, asked(desk).challenge_id)).reason == reason


async def test_what_cant_be_judged_is_asked_for_again_with_words(desk):
    for track, words in (
        (doing()[:1] * 2, "throughout"),
        (tuple(Pose(20.0, 20.0, 0, 0, 0.1) for _ in range(5)), "first"),
        (doing() + tuple(Pose(40.0, 40.0, 0, 0, 0.1) for _ in range(4)), "slowly"),
    ):
        shown = asked(desk)
        desk.face.track = track
        found = await answer(desk, shown.challenge_id)
        assert (found.decision, found.reason) == ("retry", "challenge_expired")
        assert words in found.message.en


async def test_an_attack_outweighs_a_challenge_that_was_met(desk):
    desk.face.checks = {"still": False}
    found = await answer(desk, asked(desk).challenge_id)
    assert (found.reason, found.face.pad) == ("attack_detected", "failed")
    assert found.face.pad_checks == ("still", "challenge")
    assert desk.seen.records[-1].why == "still"


async def test_if_available_judges_what_is_sent_and_asks_for_nothing(desk):
    desk.policy("face", challenge="if_available")
    assert (await answer(desk, None)).face.pad == "not_checked"
    found = await answer(desk, asked(desk).challenge_id)
    assert found.face.pad_checks == ("challenge",)
    found = await answer(desk, "0" * 32)
    assert found.reason == "challenge_expired"


async def test_off_gives_none_and_looks_at_none(desk):
    desk.policy("face", challenge="off")
    for scene in ("face", "code"):
        with pytest.raises(ChallengeOff):
            desk.verifier.challenge(GATE, scene)
    found = await answer(desk, "0" * 32)
    assert (found.reason, found.face.pad) == ("ok", "not_checked")


def test_only_a_gates_own_scenes_have_challenges(desk):
    with pytest.raises(SceneUnknown):
        desk.verifier.challenge(GATE, "gone")
    with pytest.raises(SceneForbidden):
        desk.verifier.challenge(OTHER_GATE, "face")


def test_the_choice_holds_a_turn_and_is_even():
    chance = random.Random(1)
    ones = Counter(choose_actions(1, chance) for _ in range(2_000))
    assert set(ones) == {(turn,) for turn in TURNS}
    assert min(ones.values()) > 900
    twos = Counter(choose_actions(2, chance) for _ in range(6_000))
    assert len(twos) == 10
    assert all(len(set(pair)) == 2 and set(pair) & set(TURNS) for pair in twos)
    assert min(twos.values()) > 350


def test_a_gate_has_a_bounded_number_open_and_old_ones_make_room():
    now = [0.0]
    challenges = Challenges(lambda: now[0])
    for _ in range(OPEN_PER_GATE_MAX):
        challenges.give("g1", POLICY)
    with pytest.raises(CapacityError) as full:
        challenges.give("g1", POLICY)
    assert full.value.retry_after_s == POLICY.challenge_open_s
    kept = challenges.give("g2", POLICY)
    now[0] = POLICY.challenge_open_s
    challenges.give("g1", POLICY)
    assert len(challenges) == 1
    assert isinstance(challenges.spend(kept.challenge_id, "g2", POLICY), ProbeFault)


def test_all_gates_together_have_a_bound():
    challenges = Challenges(lambda: 0.0, open_max=10)
    for gate in range(10):
        challenges.give(f"g{gate}", POLICY)
    with pytest.raises(CapacityError):
        challenges.give("g10", POLICY)


def test_ids_are_never_the_same_and_tell_nothing():
    challenges = Challenges(lambda: 0.0)
    shown = [challenges.give(f"g{at % 16}", POLICY) for at in range(500)]
    assert len({item.challenge_id for item in shown}) == 500
    assert all(len(item.challenge_id) == 32 for item in shown)
    assert {item.expires_s for item in shown} == {20}


def test_records_from_before_know_no_checks_and_are_read():
    old = msgspec.msgpack.encode({"score": 0.9, "threshold": 0.8, "fmr": 1e-3, "model": "m",
                                  "pad": "not_checked"})
    assert msgspec.msgpack.decode(old, type=FaceEvidence).pad_checks == ()
    policy = msgspec.to_builtins(FACE)
    for name in ("challenge", "challenge_actions", "challenge_open_s"):
        del policy[name]
    assert msgspec.convert(policy, ScenePolicy).challenge == "off"


async def test_the_journal_says_what_was_checked_and_holds_no_pose(desk):
    await answer(desk, asked(desk).challenge_id)
    (_, data), = desk.journal.recent(0)
    record = decode_record(data)
    assert isinstance(record, VerificationRecord)
    assert record.face.pad_checks == ("challenge",)
    assert b"yaw" not in data and picture_of(OWNER) not in data
