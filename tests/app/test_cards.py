"""A card's whole way: issued by a real platform, judged by a node that never heard of its holder.

The node meets the platform once, is cut off, and only then is the holder registered.
"""

import asyncio
import base64
import time

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from central.app import application
from central.config import CentralConfig
from central.platform import Platform
from edge.hotpath.wallet import WalletKeys, make_presentation
from edge.models.engine import ReferenceDraft
from edge.protocol.kh1 import SUITE_SEALED, key_epoch_of, step_at
from edge.protocol.records import GateRecord
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.follower import Follower
from edge.sync.lists import ListKeeper
from tests.central.desk import FIELDS, Desk
from tests.fakes.ports import PACK, template_of
from tests.pipeline import desk as desks
from tests.pipeline.desk import OWNER, STRANGER

SCENE = "hotel.checkin"
GATE = GateRecord(gate_id="g1", secret_hash=bytes(32), scenes=(SCENE,))


class Enroller:
    """Photographs are those that the fake face engine knows by their last byte."""

    pack_id = PACK

    def make_reference_template(self, image):
        return ReferenceDraft(template_of(image[-1]).tobytes(), 0.9, {"pose": 1.0})


class Outpost(desks.Desk):
    """A node that follows a real platform until it is cut off, and holds nobody of that city."""

    def open(self) -> None:
        super().open()
        self.clock.now = time.time()

    async def join(self, url: str, code: str) -> None:
        client = CentralClient(url)
        enrolment = await enrol(
            client, self.store, code=code, name="outpost", sign_public=self.key.sign_public,
            seal_public=self.key.seal_public)
        await client.close()
        self.client = CentralClient(url, token=enrolment.token)
        follower = Follower(
            central=self.client, store=self.store, seal_private=self.key.sealing,
            publish=self._take, now=time.time)
        await follower.start()
        async with asyncio.timeout(20):
            while not (self.trust.lists and self.trust.keys_as_of_s and self.trust.policies):
                await asyncio.sleep(0.01)
        self.root = follower.believer.base.root
        await follower.stop()

    def _take(self, trust) -> None:
        self.trust = trust

    async def fetch_lists(self) -> None:
        """Only the lists come through, once."""
        fetched = asyncio.Event()

        def take(lists) -> None:
            if any(item.issued_s > before for item in lists.values()):
                self.trust = self.trust.with_lists(lists)
                fetched.set()

        before = max(item.issued_s for item in self.trust.lists.values())
        keeper = ListKeeper(source=self.client, store=self.store, root=lambda: self.root,
                            publish=take, now=time.time)
        await keeper.start()
        async with asyncio.timeout(20):
            await fetched.wait()
        await keeper.stop()

    async def judge(self, text: str, face: int):
        self.clock.now = time.time()
        call = self.call(SCENE, code=text, face=face, gate=GATE)
        return (await self.verifier.verify(call)).answer


class Holder:
    """Somebody with a wallet."""

    def __init__(self, office: Desk) -> None:
        self.office = office

    async def register(self) -> None:
        _, issued = await self.office.issue(fields=FIELDS)
        self.credential = issued["credential_id"]
        shown = (await self.office.call("GET", f"/v1/credentials/{self.credential}"))[1]
        holder = shown["holder_id"]
        await self.office.call("POST", f"/v1/holders/{holder}/consents", {
            "purpose": "face_verification", "given": True, "how": "counter"})
        await self.office.call("POST", f"/v1/holders/{holder}/photograph", data=bytes([OWNER]))
        code = (await self.office.call("POST", f"/v1/holders/{holder}/wallet-codes"))[1]["code"]
        paired = (await self.office.call("POST", "/v1/wallets", {"code": code}, token=""))[1]
        token = paired["token"]
        self.held = (await self.office.call("GET", "/v1/wallet", token=token))[1]["credentials"][0]
        self.cards = (await self.office.call("GET", "/v1/wallet/cards", token=token))[1]["cards"]

    def code(self, *, card: bool, step_more: int = 0) -> str:
        step = step_at(time.time()) + step_more
        day = key_epoch_of(step)
        epoch = next(item for item in self.held["epochs"]
                     if (item["suite"], item["key_epoch"]) == (SUITE_SEALED, day))
        keys = WalletKeys(
            key_epoch=day, suite=SUITE_SEALED, credential_id=bytes.fromhex(self.credential),
            holder_key=base64.b64decode(epoch["holder_key"]),
            seal_public=base64.b64decode(epoch["seal_public"]))
        signed = next(item for item in self.cards if item["key_epoch"] == day)
        return make_presentation(keys, step, base64.b64decode(signed["card"]) if card else b"")


@pytest.fixture
async def story(tmp_path):
    platform = Platform(CentralConfig(data_dir=tmp_path / "central"), Enroller())
    await platform.start()
    server = TestServer(application(platform), host="127.0.0.1")
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        office = Desk(platform, server, session)
        outpost = Outpost(tmp_path / "edge")
        # Somebody else's credential begins the first status list.
        _, other = await office.call("POST", "/v1/holders", {
            "name": "宁波某某公司", "number": "91350100M000100Y43", "kind": "organisation"})
        await office.call("POST", "/v1/credentials", {
            "holder_id": other["holder_id"], "type": "resident_id", "fields": FIELDS})
        code = (await office.call("POST", "/v1/node-codes"))[1]["code"]
        await outpost.join(str(server.make_url("")), code)
        holder = Holder(office)
        await holder.register()
        yield office, outpost, holder
        await outpost.client.close()
        outpost.close()
    await server.close()
    await platform.stop()


async def test_a_node_that_never_heard_of_the_holder_accepts_by_card_alone(story):
    _, outpost, holder = story
    assert outpost.store.credential(bytes.fromhex(holder.credential)) is None
    without = await outpost.judge(holder.code(card=False), OWNER)
    assert (without.decision, without.reason) == ("refer", "credential_unknown")
    answer = await outpost.judge(holder.code(card=True), OWNER)
    assert (answer.decision, answer.reason) == ("accept", "ok")
    assert answer.evidence.source == "card"
    assert answer.disclosed["name"] == "马**"
    stranger = await outpost.judge(holder.code(card=True, step_more=1), STRANGER)
    assert stranger.reason == "no_match"


async def test_a_revocation_in_the_status_list_is_enough_to_refuse(story):
    office, outpost, holder = story
    path = f"/v1/credentials/{holder.credential}/status"
    await office.call("POST", path, {"status": "revoked", "reason": "test"})
    # The node is still cut off: it can't know, and says on how old a list it rests.
    before = await outpost.judge(holder.code(card=True), OWNER)
    assert before.reason == "ok"
    await outpost.fetch_lists()
    after = await outpost.judge(holder.code(card=True, step_more=1), OWNER)
    assert (after.decision, after.reason) == ("reject", "credential_revoked")
    assert after.evidence.source == "card"
