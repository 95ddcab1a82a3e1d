"""Trust: one view, replaced whole; its ages never flatter."""

import pytest

from edge.hotpath.keys import KeyRing
from edge.hotpath.trust import Trust
from edge.protocol.feed import DropPolicy, EpochsChanged, PutCredential, PutGate, PutPolicy
from tests.fakes.city import credential, epoch, gate, policy


@pytest.fixture
def trust():
    return Trust(node_id="n1", log="l", keys=KeyRing())


def test_changes_leave_the_older_view_as_it_was(trust):
    after = trust.with_changes(
        [PutPolicy(policy()), PutGate(gate()), PutCredential(credential())],
        cursor=3, head=3, issued_s=100)
    assert (trust.policies, trust.gates, trust.cursor, trust.status_as_of_s) == ({}, {}, 0, None)
    assert set(after.policies) == {"hotel.checkin"}
    assert set(after.gates) == {"g1"}
    assert after.cursor == 3


def test_status_is_known_only_when_nothing_is_missing(trust):
    behind = trust.with_changes([], cursor=5, head=6, issued_s=100)
    assert behind.status_age_s(107) is None
    caught_up = behind.with_changes([], cursor=6, head=6, issued_s=101)
    assert caught_up.status_age_s(107) == 6
    behind_again = caught_up.with_changes([], cursor=7, head=9, issued_s=106)
    assert behind_again.status_age_s(107) == 6


def test_keys_stop_ageing_only_while_they_are_the_newest(trust):
    assert trust.with_heartbeat(100).keys_age_s(100) is None
    held = trust.with_keys(KeyRing.derive([epoch(1)]), issued_s=100)
    assert held.with_heartbeat(110).keys_age_s(110) == 0
    told = held.with_changes([EpochsChanged(2)], cursor=1, head=1, issued_s=110)
    assert told.keys_pending
    assert told.with_heartbeat(120).keys_age_s(120) == 20
    renewed = told.with_keys(KeyRing.derive([epoch(2)]), issued_s=121)
    assert not renewed.keys_pending
    assert renewed.keys_age_s(121) == 0


def test_ages_do_not_go_back_and_are_never_negative(trust):
    known = trust.with_heartbeat(100)
    assert known.with_heartbeat(90).status_as_of_s == 100
    assert known.status_age_s(99.5) == 0


def test_gates_of_other_nodes_and_revoked_ones_are_absent(trust):
    known = trust.with_changes(
        [PutGate(gate("mine", "n1")), PutGate(gate("all")), PutGate(gate("theirs", "n2")),
         PutGate(gate("gone", revoked=True))],
        cursor=4, head=4, issued_s=1)
    assert set(known.gates) == {"mine", "all"}
    revoked = known.with_changes(
        [PutGate(gate("mine", "n1", revoked=True)), PutGate(gate("all", "n2"))],
        cursor=6, head=6, issued_s=2)
    assert not revoked.gates


def test_dropped_scene_is_gone_and_the_last_version_counts(trust):
    known = trust.with_changes(
        [PutPolicy(policy()), PutPolicy(policy(version=2)), PutPolicy(policy("bank.counter")),
         DropPolicy("bank.counter"), DropPolicy("never.there")],
        cursor=5, head=5, issued_s=1)
    assert {name: held.version for name, held in known.policies.items()} == {"hotel.checkin": 2}


def test_forgetting_past_keys_makes_nothing_fresher(trust):
    held = trust.with_keys(KeyRing.derive([epoch(1), epoch(2)]), issued_s=100)
    pruned = held.without_keys_before(2)
    assert pruned.keys.key_epochs == (2,)
    assert pruned.keys_as_of_s == 100


def test_trust_shows_no_key(trust):
    shown = repr(trust.with_keys(KeyRing.derive([epoch(1)]), issued_s=100))
    assert epoch(1).master.hex() not in shown
    assert str(epoch(1).master) not in shown
