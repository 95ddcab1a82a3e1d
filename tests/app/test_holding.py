"""A node that holds a part of the city, by its own HTTP: lists of arrivals, codes, verdicts.

Platform and node are real and speak over HTTP; only the face is a fake engine's.
"""

import asyncio
import base64
import hashlib
import json
import time

import aiohttp
import msgspec
import pytest

from edge.cache.selective import SelectiveStore
from edge.config import Central, EdgeConfig, Limits
from edge.config import Holding as HoldingConfig
from edge.holding import settle_mode
from edge.metrics import NodeMetrics
from edge.parts import open_asking
from edge.pipeline.verify import Verifier
from edge.protocol.feed import DropCredential
from edge.protocol.journal import EventRecord
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.follower import Follower
from edge.sync.options import FollowerOptions
from edge.ui.pages import Pages
from edge.web.callers import Gates
from edge.web.server import Server
from tests.app.test_cards import GATE, SCENE, Enroller, Holder
from tests.central import desk as offices
from tests.central.desk import NUMBER
from tests.pipeline import desk as desks
from tests.pipeline.desk import OWNER, STRANGER, picture_of
from tests.web.serving import Served
from tests.web.test_bad_input import SECRET, TOKEN

DEADLINE_S = 20.0


class Hotel(desks.Desk):
    """A node before a real platform, and its HTTP."""

    mode, lookup_ms, regions = "arrivals", 0, ()
    demand = None

    def open(self) -> None:
        super().open()
        self.clock.now = time.time()

    def build(self, journal) -> Verifier:
        verifier = super().build(journal)
        verifier._demand = self.demand
        return verifier

    async def join(self, url: str, code: str) -> None:
        self.store.close()
        self.store = SelectiveStore(self.folder / "part", self.key.derive, map_bytes=1 << 22)
        client = CentralClient(url)
        enrolment = await enrol(
            client, self.store, code=code, name="hotel", sign_public=self.key.sign_public,
            seal_public=self.key.seal_public)
        await client.close()
        config = EdgeConfig(
            central=Central(lookup_ms=self.lookup_ms),
            holding=HoldingConfig(mode=self.mode, regions=self.regions, arrivals_max=3,
                                  arrivals_per_hour=5))
        settle_mode(config, self.store)
        self.client = CentralClient(url, token=enrolment.token)
        self.follower = Follower(
            central=self.client, store=self.store, seal_private=self.key.sealing,
            publish=self._take, now=time.time,
            options=FollowerOptions(wait_s=1, retry_first_s=0.05))
        await self.follower.start()
        self.metrics = NodeMetrics("test")
        self.holding, self.demand, arrivals, _ = open_asking(
            config, self.client, self.follower, self.store, self.clock, lambda: self.trust,
            self.metrics, self._note)
        self.verifier = self.build(self.journal)
        await self.until(lambda: self.trust.mode == "online" and self.trust.policies
                         and self.trust.keys_as_of_s)
        gate = msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())
        server = Server(
            verifier=self.verifier, decider=None, looker=None, shift=None,
            callers=Gates(lambda: {"g1": gate}), status=None, metrics=self.metrics,
            limits=Limits(), version="test", expects=arrivals, arrivals_max=3)
        self.served = await Served(
            server.application(Pages(("edge.web",), ("节点", "node"))), None).start()

    async def _note(self, event, detail) -> None:
        await self.journal.append(EventRecord(at_ms=0, event=event, detail=detail))

    def _take(self, trust) -> None:
        self.trust = trust

    async def until(self, holds) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                await asyncio.sleep(0.02)

    async def post(self, path: str, body: dict, token: str = TOKEN):
        async with (aiohttp.ClientSession() as session,
                    session.post(self.served.make_url(path), json=body,
                                 headers={"Authorization": f"Bearer {token}"}) as response):
            return response.status, json.loads(await response.read())

    async def show(self, code: str, face: int = OWNER) -> dict:
        self.clock.now = time.time()
        picture = base64.b64encode(picture_of(face)).decode()
        return (await self.post("/v1/verifications", {
            "scene": SCENE, "request_id": f"q{next(self.requests)}", "presentation": code,
            "face_image": picture}))[1]

    async def leave(self) -> None:
        await self.served.close()
        await self.follower.stop()
        await self.client.close()
        self.close()


@pytest.fixture
async def office(tmp_path, monkeypatch):
    monkeypatch.setattr(offices, "FakeEnroller", Enroller)
    async with offices.desk_of(tmp_path / "central") as office:
        yield office


async def hotel_of(
    office, folder, mode: str, lookup_ms: int, *regions: str
) -> tuple[Hotel, Holder]:
    holder = Holder(office)
    await holder.register()
    hotel = Hotel(folder)
    hotel.mode, hotel.lookup_ms, hotel.regions = mode, lookup_ms, regions
    await hotel.join(office.url, (await office.call("POST", "/v1/node-codes"))[1]["code"])
    return hotel, holder


async def test_expected_guest_is_accepted_offline_and_others_are_referred(office, tmp_path):
    hotel, holder = await hotel_of(office, tmp_path / "edge", "arrivals", 0)
    credential = bytes.fromhex(holder.credential)
    assert hotel.store.credential(credential) is None
    answer = await hotel.show(holder.code(card=False))
    assert (answer["decision"], answer["reason"]) == ("refer", "credential_unknown")
    status, said = await hotel.post("/v1/prefetch", {
        "scene": SCENE, "numbers": [NUMBER, "330203199002110000"],
        "until_s": int(time.time()) + 3_600})
    assert status == 200
    assert said.pop("until_s") > time.time()
    assert said == {"named": 2, "asked": 2, "found": 1, "not_found": 1}
    await office.server.close()
    await hotel.until(lambda: hotel.trust.mode == "offline")
    answer = await hotel.show(holder.code(card=False, step_more=1))
    assert (answer["decision"], answer["reason"]) == ("accept", "ok")
    assert (answer["evidence"]["mode"], answer["disclosed"]["name"]) == ("offline", "马**")
    # Its time is over: nobody can know any more, and nobody says "invalid".
    hotel.clock.now = time.time() + 3_601
    await hotel.holding.sweep()
    assert (hotel.store.faces, hotel.store.terms) == (0, 0)
    answer = await hotel.show(holder.code(card=False))
    assert (answer["decision"], answer["reason"]) == ("refer", "credential_unknown")
    events = [data for _, data in hotel.journal.recent(0) if b"arrivals.fetched" in data]
    assert len(events) == 1
    assert NUMBER.encode() not in events[0]
    await hotel.leave()


async def test_holder_of_the_region_is_accepted_offline_until_the_move_and_then_referred(
    office, tmp_path
):
    hotel, holder = await hotel_of(office, tmp_path / "edge", "region", 0, "330203")
    credential = bytes.fromhex(holder.credential)
    answer = await hotel.show(holder.code(card=False))
    assert (answer["decision"], answer["reason"]) == ("refer", "credential_unknown")

    async def move(region: str) -> None:
        listed = (await office.call("GET", "/v1/holders"))[1]["holders"]
        status, _ = await office.call(
            "PUT", f"/v1/holders/{listed[0]['holder_id']}/region", {"region": region})
        assert status == 200

    await move("330203")
    await hotel.until(lambda: hotel.store.faces and hotel.store.credential(credential))
    assert hotel.holding.shown.regions == ("330203",)
    await move("330205")
    await hotel.until(lambda: not hotel.store.faces and not hotel.store.credential(credential))
    answer = await hotel.show(holder.code(card=False, step_more=1))
    assert (answer["decision"], answer["reason"]) == ("refer", "credential_unknown")
    await move("330203")
    await hotel.until(lambda: hotel.store.faces and hotel.store.credential(credential))
    await office.server.close()
    await hotel.until(lambda: hotel.trust.mode == "offline")
    answer = await hotel.show(holder.code(card=False, step_more=1))
    assert (answer["decision"], answer["reason"]) == ("accept", "ok")
    assert answer["evidence"]["mode"] == "offline"
    await hotel.leave()


@pytest.mark.parametrize("mode", ["demand", "arrivals", "region"])
async def test_miss_is_asked_for_in_time_and_a_revocation_made_later_is_followed(
    office, tmp_path, mode
):
    regions = ("330203",) if mode == "region" else ()
    hotel, holder = await hotel_of(office, tmp_path / "edge", mode, 3_000, *regions)
    answer = await hotel.show(holder.code(card=False), STRANGER)
    assert (answer["decision"], answer["reason"]) == ("reject", "no_match")
    answer = await hotel.show(holder.code(card=False, step_more=1))
    assert (answer["decision"], answer["reason"]) == ("accept", "ok")
    credential = bytes.fromhex(holder.credential)
    await office.call("POST", f"/v1/credentials/{holder.credential}/status", {
        "status": "revoked", "reason": "test"})
    await hotel.until(lambda: hotel.store.status(credential) is not None)
    answer = await hotel.post("/v1/verifications", {
        "scene": SCENE, "request_id": "after", "presentation": holder.code(card=False)})
    assert (answer[1]["decision"], answer[1]["reason"]) == ("reject", "credential_revoked")
    await hotel.leave()


@pytest.mark.parametrize("mode", ["all", "arrivals", "demand", "region"])
@pytest.mark.parametrize("fault", ["offline", "late"])
async def test_miss_that_can_not_be_asked_for_in_time_is_unknown_and_referred(
    office, tmp_path, mode, fault
):
    regions = ("330203",) if mode == "region" else ()
    hotel, holder = await hotel_of(
        office, tmp_path / "edge", mode, 1 if fault == "late" else 500, *regions)
    if mode == "all":
        # What the feed hasn't brought yet.
        await hotel.until(lambda: hotel.store.counts()["credentials"] > 0)
        hotel.store.hold([DropCredential(bytes.fromhex(holder.credential))])
    if fault == "offline":
        await office.server.close()
        await hotel.until(lambda: hotel.trust.mode == "offline")
    answer = await hotel.show(holder.code(card=False))
    assert (answer["decision"], answer["reason"]) == ("refer", "credential_unknown")
    assert answer["credential"] is None
    wanted = "offline" if fault == "offline" else "late"
    # A lookup that came too late for the answer is counted when it ends.
    await hotel.until(lambda: f'kanhe_demand_lookups_total{{result="{wanted}"}} 1.0' in (
        hotel.metrics.page()[0].decode()))
    await hotel.leave()


async def test_lists_that_can_not_be_are_refused_with_what_to_do(office, tmp_path):
    hotel, _ = await hotel_of(office, tmp_path / "edge", "arrivals", 0)

    async def post(token=TOKEN, **differently):
        body = {"scene": SCENE, "numbers": [NUMBER], **differently}
        status, said = await hotel.post("/v1/prefetch", body, token)
        return status, said.get("detail", "")

    assert (await post(token="g1.AAAA"))[0] == 401
    assert (await post(scene="bank.counter"))[0] == 403
    assert (await post(scene="nowhere"))[0] == 404
    for wrong, word in (
        ({"numbers": []}, "1 to 3"), ({"numbers": ["1", "2", "3", "4"]}, "1 to 3"),
        ({"numbers": [" "]}, "64 characters"), ({"numbers": ["1" * 65]}, "64 characters"),
        ({"until_s": 1}, "until_s"), ({"names": ["马晓芸"]}, "names"),
    ):
        status, detail = await post(**wrong)
        assert (status, word in detail) == (422, True), (wrong, detail)
    assert hotel.store.terms == 0
    assert (await post(numbers=["1", "2", "3"]))[0] == 200
    status, detail = await post(numbers=["4", "5", "6"])
    assert (status, "more often" in detail) == (429, True)
    await office.server.close()
    await hotel.until(lambda: hotel.trust.mode == "offline")
    status, detail = await post()
    assert (status, "send the list later" in detail) == (503, True)
    await hotel.leave()
