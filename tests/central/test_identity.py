"""A node's token ends, is rotated by proof of the node's key, and comes back by it after months."""

import asyncio
import base64
import time

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.identity import BEFORE_S, CHALLENGE_S
from central.schema import Act
from edge.protocol.identity import renew_bytes, token_info
from edge.protocol.steps import DAY_S
from edge.sync.state import meta_of_enrolment
from tests.central.desk import KEY, desk_of
from tests.central.site import Site
from tests.fakes.central_simulator import CentralSimulator
from tests.fakes.city import policy
from tests.fakes.ports import FakeClock

TOKEN_DAYS, AWAY_DAYS = 30, 400
LOG = "ningbo"


@pytest.fixture
def clock():
    return FakeClock(float(int(time.time())))


@pytest.fixture
async def desk(tmp_path, address, clock):
    async with desk_of(tmp_path, address, now=clock.now_s, token_days=TOKEN_DAYS,
                       away_days_max=AWAY_DAYS) as desk:
        desk.clock = clock
        yield desk


@pytest.fixture
async def site(desk):
    site = Site(desk.url, now=desk.clock.now_s)
    await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
    yield site


async def pass_days(desk, days):
    desk.clock.now += days * DAY_S
    await desk.platform._make_epochs()


async def challenge_of(desk, node_id):
    said = (await desk.call("POST", "/v1/nodes/challenge", {"node_id": node_id}, token=""))[1]
    return base64.b64decode(said["challenge"])


async def renew(desk, node_id, challenge=None, *, key=KEY.signing, signed=None):
    challenge = challenge or await challenge_of(desk, node_id)
    signature = key.sign(signed or renew_bytes(LOG, node_id, challenge))
    return await desk.call("POST", "/v1/nodes/renew", {
        "node_id": node_id, "challenge": base64.b64encode(challenge).decode(),
        "signature": base64.b64encode(signature).decode()}, token="")


def opened(node_id, said, key=KEY):
    return key.sealing.open(
        base64.b64decode(said["sealed"]), token_info(LOG, node_id)).decode()


async def good(desk, token):
    return (await desk.call("GET", "/v1/root?version=1", token=token))[0] == 200


async def test_a_token_ends_and_the_key_gives_the_next(desk):
    enrolled = (await desk.enrol())[1]
    node_id, token = enrolled["node_id"], enrolled["token"]
    assert enrolled["expires_s"] == desk.clock.now + TOKEN_DAYS * DAY_S
    desk.clock.now = enrolled["expires_s"] - 1
    assert await good(desk, token)
    desk.clock.now += 1
    assert not await good(desk, token)
    status, said = await renew(desk, node_id)
    assert status == 200
    assert said["expires_s"] == desk.clock.now + TOKEN_DAYS * DAY_S
    assert await good(desk, opened(node_id, said))
    assert not await good(desk, token)


async def test_the_token_before_is_good_until_the_new_one_is_used(desk):
    enrolled = (await desk.enrol())[1]
    first = opened(enrolled["node_id"], (await renew(desk, enrolled["node_id"]))[1])
    assert await good(desk, enrolled["token"])
    assert await good(desk, first)
    assert not await good(desk, enrolled["token"])
    desk.clock.now += 1
    await renew(desk, enrolled["node_id"])  # its answer is lost
    assert await good(desk, first)
    desk.clock.now += BEFORE_S
    assert not await good(desk, first)


async def test_a_revoked_node_gets_no_token_whatever_it_proves(desk):
    node_id = (await desk.enrol())[1]["node_id"]
    challenge = await challenge_of(desk, node_id)
    await desk.call("DELETE", f"/v1/nodes/{node_id}?reason=stolen")
    assert (await renew(desk, node_id, challenge))[0] == 403
    assert (await renew(desk, node_id))[0] == 403


async def test_another_key_proves_nothing(desk):
    node_id = (await desk.enrol())[1]["node_id"]
    assert (await renew(desk, node_id, key=Ed25519PrivateKey.generate()))[0] == 403
    assert (await renew(desk, "0" * 16))[0] == 403


@pytest.mark.parametrize("signed", [
    lambda node, challenge: challenge, lambda node, challenge: renew_bytes("x", node, challenge),
    lambda node, challenge: renew_bytes(LOG, "other", challenge)])
async def test_a_signature_from_elsewhere_proves_nothing(desk, signed):
    node_id = (await desk.enrol())[1]["node_id"]
    challenge = await challenge_of(desk, node_id)
    assert (await renew(desk, node_id, challenge, signed=signed(node_id, challenge)))[0] == 403


async def test_a_recorded_renewal_is_of_no_use_again(desk):
    node_id = (await desk.enrol())[1]["node_id"]
    first, second = await challenge_of(desk, node_id), None
    desk.clock.now += 1
    second = await challenge_of(desk, node_id)
    assert (await renew(desk, node_id, second))[0] == 200
    for recorded in (second, first):
        assert (await renew(desk, node_id, recorded))[0] == 403


async def test_a_challenge_ends_and_is_one_nodes_and_the_platforms_own(desk):
    node_id = (await desk.enrol())[1]["node_id"]
    challenge = await challenge_of(desk, node_id)
    other = await challenge_of(desk, "0" * 16)
    assert (await renew(desk, node_id, other))[0] == 403
    assert (await renew(desk, node_id, challenge[:-1] + bytes([challenge[-1] ^ 1])))[0] == 403
    assert (await renew(desk, node_id, b"x"))[0] == 403
    desk.clock.now += CHALLENGE_S + 1
    assert (await renew(desk, node_id, challenge))[0] == 403


async def test_who_relays_a_renewal_cannot_read_the_token(desk):
    node_id = (await desk.enrol())[1]["node_id"]
    said = (await renew(desk, node_id))[1]
    with pytest.raises(InvalidTag):
        opened(node_id, said, Site(desk.url, seed=9, now=desk.clock.now_s).key)


async def test_a_node_rotates_its_token_before_it_ends_and_follows_on(desk, site):
    await site.start()
    await site.online()
    first = site.enrolment
    await pass_days(desk, TOKEN_DAYS * 2 // 3 + 1)
    await desk.call("POST", "/v1/gates", {"label": "a", "scenes": ["hotel.checkin"]})
    await site.until(lambda: site.enrolment.token != first.token)
    assert site.enrolment.expires_s == int(desk.clock.now) + TOKEN_DAYS * DAY_S
    site.write(3)
    await site.shipped()
    assert site.follower.status.failures == 0
    assert site.follower.status.identity_error == ""
    await site.stop()


async def test_a_node_that_was_away_for_months_comes_back_by_itself(desk, site):
    await site.start()
    await site.online()
    await site.stop()
    site.write(5)
    await desk.issue()
    await pass_days(desk, 200)
    await site.start()
    await site.online()
    await site.shipped()
    assert site.trust.cursor == (await desk.feed(site.enrolment.token)).head
    await site.until(lambda: not site.trust.keys_pending and len(site.trust.keys) > 0)
    acts = await desk.platform.database.run(lambda tx: [
        (row.act, row.reason) for row in tx.session.query(Act).all()])
    assert ("node.return", "200 days away") in acts
    await site.stop()


async def test_a_node_away_for_longer_than_allowed_is_told_what_to_do(desk, site):
    await pass_days(desk, AWAY_DAYS + 1)
    await site.start()
    await site.until(lambda: "enrol the node anew" in site.follower.status.identity_error)
    assert site.trust.mode == "offline"
    await site.stop()


async def test_a_revoked_node_stays_out_and_says_so(desk, site):
    await site.start()
    await site.online()
    await desk.call("DELETE", f"/v1/nodes/{site.enrolment.node_id}?reason=stolen")
    await desk.call("POST", "/v1/gates", {"label": "a", "scenes": ["hotel.checkin"]})
    await site.until(lambda: "revoked" in site.follower.status.identity_error)
    assert site.trust.mode == "offline"
    await site.stop()


async def test_a_node_killed_between_answer_and_disk_is_not_locked_out(desk, site):
    before = site.enrolment
    await site.start()
    await site.online()
    renewed = await site.identity.renewed(asyncio.get_running_loop().time())
    await site.stop()  # and nothing was put down
    assert site.enrolment == before != renewed
    await site.start()
    await site.online()
    assert site.follower.status.failures == 0
    await site.stop()


async def test_an_enrolment_of_an_earlier_version_rotates_at_once(desk, site):
    old = msgspec.structs.replace(site.enrolment, expires_s=0, renew_s=0)
    site.store.apply((), 0, meta_of_enrolment(old))
    await site.start()
    await site.until(lambda: site.enrolment.expires_s > 0)
    await site.online()
    await site.stop()


async def test_no_token_is_in_a_log_or_a_repr(desk, site, caplog):
    await site.start()
    await site.online()
    await site.identity.renewed(asyncio.get_running_loop().time())
    await site.stop()
    assert site.enrolment.token not in caplog.text
    assert site.enrolment.token not in repr(site.enrolment)


async def test_being_heard_is_no_write_at_every_poll(desk):
    enrolled = (await desk.enrol())[1]

    async def seen():
        return (await desk.call("GET", "/v1/nodes"))[1]["nodes"][0]["seen_s"]

    first = await seen()
    desk.clock.now += 4
    await good(desk, enrolled["token"])
    assert await seen() == first
    desk.clock.now += 1
    await good(desk, enrolled["token"])
    assert await seen() == first + 5


async def test_a_platform_of_an_earlier_version_is_followed_without_rotation(clock):
    async with CentralSimulator(clock.now_s) as simulator:
        await simulator.set_policy(policy())
        site = Site(simulator.url, now=clock.now_s)
        await site.enrol(simulator.new_code())
        await site.start()
        await site.online()
        await site.until(lambda: "404" in site.follower.status.identity_error)
        assert site.trust.mode == "online"
        await site.stop()
