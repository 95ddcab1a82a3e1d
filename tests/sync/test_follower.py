"""Following: a revocation arrives, an outage is said, and everything is caught up after it."""

import asyncio
import time

from aiohttp import web

from edge.protocol.records import Status
from edge.protocol.steps import DAY_S
from tests.fakes.city import credential, epoch, gate, id_of, policy
from tests.fakes.feed_forge import LIFE_S, ROOT_LIFE_S
from tests.sync.node import NOW_S, TODAY, Node


async def test_enrolled_node_holds_policies_gates_and_keys(node):
    trust = await node.until(
        lambda trust: len(trust.keys) == 3 and trust.cursor == 3 and not trust.keys_pending)
    assert trust.policies == {"hotel.checkin": policy()}
    assert trust.gates == {"g1": gate()}
    assert trust.keys.key_epochs == (TODAY - 1, TODAY, TODAY + 1)
    assert trust.status_age_s(NOW_S) == 0
    assert trust.keys_age_s(NOW_S) == 0


async def test_revocation_is_in_the_store_when_trust_says_so_and_within_a_second(node, central):
    await central.grant(credential("ma"))
    await node.until(lambda trust: trust.cursor == 4)
    began = time.monotonic()
    await central.revoke("ma")
    await node.until(lambda trust: trust.cursor == 5)
    took_s = time.monotonic() - began
    assert node.store.statuses[id_of("ma")].status is Status.REVOKED
    assert took_s < 1.0


async def test_revoked_gate_and_dropped_scene_leave_trust(node, central):
    await central.register_gate(gate(revoked=True), gate("theirs", "node-9"))
    trust = await node.until(lambda trust: trust.cursor == 5)
    assert not trust.gates


async def test_outage_is_said_with_ages_and_caught_up_afterwards(node, central, clock):
    await central.go_down()
    await node.offline()
    assert node.follower.status.last_error
    clock.now_s += 7 * 60
    assert node.trust.status_age_s(clock()) == 7 * 60
    assert node.trust.keys.key_epochs == (TODAY - 1, TODAY, TODAY + 1)
    await central.revoke("ma")
    await central.come_back()
    trust = await node.online()
    assert node.store.statuses[id_of("ma")].status is Status.REVOKED
    assert trust.status_age_s(clock()) == 0
    assert node.follower.status.last_error == ""


async def test_one_failed_call_is_no_outage(node, central):
    node.seen.clear()
    central.fail_once()
    await central.revoke("ma")
    await node.until(lambda trust: trust.cursor == 4)
    assert central.tamper is None
    assert {trust.mode for trust in node.seen} == {"online"}


async def test_second_failed_call_in_a_row_is_one(node, central):
    def failing(request, honest):
        raise web.HTTPServiceUnavailable

    central.tamper = failing
    await central.revoke("ma")
    await node.offline()
    assert "503" in node.follower.status.last_error
    assert node.follower.status.failures >= 2


async def test_days_before_the_ring_are_never_held(node, central):
    await central.make_epochs(epoch(TODAY - 2), epoch(TODAY + 2))
    trust = await node.until(lambda trust: TODAY + 2 in trust.keys)
    assert trust.keys.key_epochs == tuple(range(TODAY - 1, TODAY + 3))
    assert [keys.key_epoch for keys in node.store.epochs()] == list(trust.keys.key_epochs)


async def test_restart_offline_takes_up_what_was_believed_and_its_age(node, central, clock):
    await central.revoke("ma")
    await node.until(lambda trust: trust.cursor == 4 and len(trust.keys) == 3)
    await node.stop()
    await central.go_down()
    clock.now_s += 60
    await node.start()
    trust = node.trust
    assert trust.mode == "offline"
    assert trust.cursor == 4
    assert trust.keys.key_epochs == (TODAY - 1, TODAY, TODAY + 1)
    assert trust.status_age_s(clock()) == 60
    assert trust.policies and trust.gates
    await central.come_back()
    await node.online()


async def test_new_key_epochs_are_fetched_when_announced(node, central):
    await central.make_epochs(epoch(TODAY + 2))
    await node.until(lambda trust: TODAY + 2 in trust.keys and not trust.keys_pending)


async def test_past_key_epochs_are_forgotten_without_the_platform(node, central, clock):
    await node.until(lambda trust: len(trust.keys) == 3)
    await central.go_down()
    clock.now_s += DAY_S
    trust = await node.until(lambda trust: TODAY - 1 not in trust.keys)
    assert trust.keys.key_epochs == (TODAY, TODAY + 1)
    assert [keys.key_epoch for keys in node.store.epochs()] == [TODAY, TODAY + 1]


async def test_refused_keys_do_not_hold_up_a_revocation(node, central):
    other = Node(central, node.clock)
    await other.enrol()
    central.deliver_keys_of(other.enrolment.node_id)
    await central.make_epochs(epoch(TODAY + 2))
    await central.revoke("ma")
    trust = await node.until(lambda trust: trust.cursor == 5)
    assert trust.keys_pending
    await central.revoke("li")
    await node.until(lambda trust: trust.cursor == 6)
    assert "another node" in node.follower.status.keys_error
    central.be_honest()
    await node.until(lambda trust: TODAY + 2 in trust.keys)
    assert node.follower.status.keys_error == ""


async def test_root_rotation_is_followed(node, central):
    await node.until(lambda trust: len(trust.keys) == 3)
    central.rotate_root()
    await central.revoke("ma")
    trust = await node.until(lambda trust: trust.cursor == 4)
    await node.online()
    assert node.follower.believer.base.root.version == 2
    assert trust.keys.key_epochs == (TODAY - 1, TODAY, TODAY + 1)


async def test_node_that_was_away_climbs_several_roots(node, central, clock):
    await central.go_down()
    await node.offline()
    for _ in range(3):
        clock.now_s += ROOT_LIFE_S - DAY_S
        central.rotate_root()
    await central.revoke("ma")
    await central.come_back()
    await node.online()
    assert node.follower.believer.base.root.version == 4
    assert node.store.statuses[id_of("ma")].status is Status.REVOKED


async def test_node_stays_offline_but_keeps_what_it_believed_under_an_expired_root(
    node, central, clock
):
    clock.now_s += ROOT_LIFE_S + DAY_S
    await central.revoke("ma")
    trust = await node.offline()
    assert "expired" in node.follower.status.last_error
    assert trust.policies
    assert not node.store.statuses
    central.rotate_root()
    await node.online()
    assert node.store.statuses


async def test_wrong_key_and_flipped_bits_are_refused_and_honesty_is_believed_again(
    node, central
):
    for attack, rule in ((central.sign_with_wrong_key, "signatures"), (central.flip_a_bit, None)):
        attack()
        await central.revoke("ma")
        trust = await node.offline()
        assert trust.cursor == node.store.cursor
        assert rule is None or node.follower.status.last_rule == rule
        central.be_honest()
        await node.online()
        assert node.store.cursor == len(central.log)


async def test_frozen_feed_ages_and_then_is_refused(node, central, clock):
    central.freeze()
    await central.revoke("ma")
    clock.now_s += LIFE_S
    await node.offline()
    assert node.follower.status.last_rule in {"expired", "rollback"}
    assert node.trust.status_age_s(clock()) >= LIFE_S


async def test_full_disk_is_an_outage_of_belief_and_ends_with_it(node, central):
    node.store.full = True
    await central.revoke("ma")
    trust = await node.offline()
    assert trust.cursor == 3
    assert "no space" in node.follower.status.last_error
    node.store.full = False
    await node.online()
    assert id_of("ma") in node.store.statuses


async def test_revoked_node_says_that_the_platform_does_not_know_it(node, central):
    central.revoke_node(node.enrolment.node_id)
    await central.publish()
    await central.revoke("ma")
    await node.offline()
    assert "know this node" in node.follower.status.last_error


async def test_clock_of_the_platform_is_measured_and_a_contradicted_one_is_not_believed(
    central, clock
):
    central.clock_error_s = 1.5
    node = Node(central, clock)
    await node.enrol()
    await node.start()
    trust = await node.until(lambda trust: trust.central_clock_skew_s is not None)
    assert trust.central_clock_skew_s == 1.5
    central.clock_error_s = -5.0
    await node.until(lambda trust: trust.mode == "online")
    await central.revoke("ma")
    await node.until(lambda trust: trust.central_clock_skew_s is None)
    await node.stop()


async def test_catching_up_in_batches_is_not_online_before_the_end(central, clock):
    central.batch_max = 10
    await central.grant(*(credential(f"c{number}") for number in range(95)))
    node = Node(central, clock)
    await node.enrol()
    await node.start()
    await node.online()
    await node.stop()
    assert len(node.store.credentials) == 95
    assert node.store.applied == list(range(98))
    assert all(trust.cursor == 98 for trust in node.seen if trust.mode == "online")
    assert all(trust.status_as_of_s is None for trust in node.seen if trust.cursor < 98)


async def test_stop_waits_for_the_store_and_the_next_start_goes_on(node, central):
    for number in range(5):
        stopping = asyncio.ensure_future(node.stop())
        await central.grant(credential(f"c{number}"))
        await stopping
        await node.start()
    await node.until(lambda trust: trust.cursor == len(central.log))
    assert node.store.applied == list(range(len(central.log)))
