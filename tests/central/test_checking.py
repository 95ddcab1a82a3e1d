"""The platform's own check of a code, over real HTTP and from the command line."""

import base64

import pytest

from edge.hotpath.wallet import WalletKeys, make_presentation
from edge.protocol.kh1 import key_epoch_of, step_at
from tests.central.desk import desk_of

NOW = 21_100 * 86_400 + 30_000.0


async def pair(desk):
    """Give a wallet's keys of today, by suite, of a credential just granted."""
    _, granted = await desk.issue()
    holder = (await desk.call("GET", "/v1/holders"))[1]["holders"][0]["holder_id"]
    _, code = await desk.call("POST", f"/v1/holders/{holder}/wallet-codes")
    _, wallet = await desk.call("POST", "/v1/wallets", {"code": code["code"]}, token="")
    _, held = await desk.call("GET", "/v1/wallet", token=wallet["token"])
    [credential] = held["credentials"]
    today = key_epoch_of(step_at(NOW))
    return granted["credential_id"], {
        epoch["suite"]: WalletKeys(
            key_epoch=today, suite=epoch["suite"],
            credential_id=bytes.fromhex(credential["credential_id"]),
            holder_key=base64.b64decode(epoch["holder_key"]),
            alias=base64.b64decode(epoch["alias"]),
            seal_public=base64.b64decode(epoch["seal_public"]))
        for epoch in credential["epochs"] if epoch["key_epoch"] == today}


@pytest.fixture
async def holder(tmp_path, address):
    """A desk, a credential, and the keys of the wallet that it is in."""
    async with desk_of(tmp_path, address, now=lambda: NOW) as desk:
        credential, keys = await pair(desk)
        yield desk, credential, keys


async def check(desk, text, scene="office.gatehouse"):
    return await desk.call("POST", "/v1/checks", {"scene": scene, "presentation": text})


def code(keys, suite=1, late=0):
    return make_presentation(keys[suite], step_at(NOW) - late)


async def test_the_platform_judges_every_suite_as_a_node_does(holder):
    desk, _, keys = holder
    for suite in keys:
        status, said = await check(desk, code(keys, suite))
        assert (status, said["decision"], said["reason"]) == (200, "accept", "ok"), suite
        assert (said["credential_type"], said["credential_status"]) == ("resident_id", "valid")


async def test_it_spends_nothing_and_its_verdicts_follow_the_registry(holder):
    desk, credential, keys = holder
    text = code(keys)
    assert (await check(desk, text))[1]["reason"] == "ok"
    assert (await check(desk, text))[1]["reason"] == "ok"
    assert (await check(desk, text, "police.roadside"))[1]["reason"] == (
        "credential_not_accepted_here")
    assert (await check(desk, text, "hotel.checkin"))[1]["reason"] == "face_absent"
    await desk.call("POST", f"/v1/credentials/{credential}/status",
                    {"status": "revoked", "reason": "lost"})
    said = (await check(desk, text))[1]
    assert (said["decision"], said["reason"]) == ("reject", "credential_revoked")


async def test_it_says_nothing_of_a_credential_to_who_holds_no_genuine_code(holder):
    desk, _, keys = holder
    for text in ("KH1:xx", "", code(keys)[:-3] + "000", code(keys, late=3), "K" * 10_000):
        status, said = await check(desk, text)
        assert status == 200
        assert (said["credential_type"], said["credential_status"]) == ("", "")
        assert said["reason"] in ("malformed", "mac_mismatch", "step_expired")


async def test_only_an_administrator_asks_and_it_is_on_record(holder):
    desk, _, keys = holder
    body = {"scene": "office.gatehouse", "presentation": code(keys)}
    assert (await desk.call("POST", "/v1/checks", body, token="no"))[0] == 401
    assert (await desk.call("POST", "/v1/checks", {**body, "scene": "a.b"}))[0] == 404
    assert (await desk.call("POST", "/v1/checks", {"scene": "a.b"}))[0] == 422
