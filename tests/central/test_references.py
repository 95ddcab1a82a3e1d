"""References at the platform: purpose and consent travel, and another pack's are made anew."""

import asyncio
import threading
import time

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from central.app import application
from central.config import CentralConfig
from central.platform import Platform
from edge.errors import PackError
from edge.hotpath.holder import ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.engine import ReferenceDraft
from edge.protocol.feed import DropReference, PutReference
from tests.central.desk import Desk
from tests.fakes.ports import FakeClock

JOB_S_MAX = 30.0
NUMBERS = ("330203199002110244", "11010519491231002X", "330203198501010016")


class Pack:
    """Knows a photograph's number; can't use the photograph `blind`."""

    def __init__(self, pack_id, blind=b""):
        self.pack_id, self.blind, self.seen = pack_id, blind, []

    def make_reference_template(self, image):
        self.seen.append(image)
        if image == self.blind:
            return ProbeFault(Reason.FACE_ABSENT)
        return ReferenceDraft(image.ljust(128, b"\0"), 0.9, {"pose": 1.0})


class City(Desk):
    async def people(self, count=3):
        holders = []
        for number in NUMBERS[:count]:
            _, added = await self.call("POST", "/v1/holders", {"name": "人", "number": number})
            holders.append(added["holder_id"])
            await self.consent(added["holder_id"], "face_verification", True)
            status, _ = await self.photograph(added["holder_id"], b"image %d" % len(holders))
            assert status == 201
        return holders

    async def consent(self, holder, purpose, given):
        return await self.call("POST", f"/v1/holders/{holder}/consents",
                               {"purpose": purpose, "given": given, "how": "counter"})

    async def photograph(self, holder, image):
        return await self.call("POST", f"/v1/holders/{holder}/photograph", data=image)

    async def changes(self):
        token = self.node = getattr(self, "node", None) or (await self.enrol())[1]["token"]
        batch = await self.feed(token)
        return [c for c in batch.changes if isinstance(c, PutReference | DropReference)]

    async def job(self, act, pack):
        status, _ = await self.call("POST", f"/v1/references/{pack}/{act}")
        assert status == 202
        async with asyncio.timeout(JOB_S_MAX):
            while True:
                _, shown = await self.call("GET", "/v1/references")
                if shown["job"]["state"] != "running":
                    return shown
                await asyncio.sleep(0.02)


@pytest.fixture
def packs():
    return {"old": Pack("old"), "new": Pack("new", b"image 2")}


@pytest.fixture
async def city(tmp_path, packs, address):
    def open_pack(pack):
        if pack not in packs:
            raise PackError(f"there is no pack {pack}")
        return packs[pack]

    clock = FakeClock(time.time())
    platform = Platform(
        CentralConfig(data_dir=tmp_path, database_url=address), packs["old"], clock.now_s,
        open_pack=open_pack)
    await platform.start()
    server = TestServer(application(platform), host="127.0.0.1")
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        city = City(platform, server, session)
        city.clock = clock
        yield city
    await server.close()
    await platform.stop()


async def test_purpose_and_consent_travel_with_a_reference(city):
    (holder,) = await city.people(1)
    first = (await city.changes())[-1].reference
    assert (first.purpose, first.consent > 0, first.consent_s > 0) == ("verification", True, True)
    await city.consent(holder, "face_identification", True)
    known = (await city.changes())[-1].reference
    assert (known.purpose, known.consent > first.consent) == ("identification", True)
    assert known.created_s == first.created_s
    await city.consent(holder, "face_identification", False)
    assert (await city.changes())[-1].reference.purpose == "verification"


async def test_withdrawn_consent_drops_the_reference_whatever_else_is_given(city):
    (holder,) = await city.people(1)
    await city.consent(holder, "face_identification", True)
    await city.consent(holder, "face_verification", False)
    assert (await city.changes())[-1] == DropReference(bytes.fromhex(holder), "old")
    count = len(await city.changes())
    await city.consent(holder, "face_identification", False)
    assert all(isinstance(c, DropReference) for c in (await city.changes())[count:])


async def test_references_of_another_pack_are_made_of_the_photographs_kept(city, packs):
    one, two, three = await city.people()
    await city.consent(three, "face_verification", False)
    before = len(await city.changes())
    shown = await city.job("make", "new")
    job = shown["job"]
    assert (job["state"], job["done"], job["total"], job["changed"]) == ("done", 3, 3, 1)
    assert job["failed"] == {two: "face_absent"}
    assert shown["packs"] == {"old": 3, "new": 1}
    assert shown["faces"] == 3
    (made,) = (await city.changes())[before:]
    assert (made.reference.pack, made.reference.holder_id.hex()) == ("new", one)
    assert made.reference.created_s == (await city.changes())[0].reference.created_s
    assert sorted(packs["new"].seen) == [b"image 1", b"image 2"]


async def test_a_second_pass_makes_only_what_is_missing(city, packs):
    one, *_ = await city.people()
    await city.job("make", "new")
    packs["new"].seen.clear()
    packs["new"].blind = b""
    assert (await city.job("make", "new"))["job"]["changed"] == 1
    assert packs["new"].seen == [b"image 2"]
    city.clock.now += 60
    await city.photograph(one, b"image 9")
    packs["new"].seen.clear()
    assert (await city.job("make", "new"))["job"]["changed"] == 1
    assert packs["new"].seen == [b"image 9"]


async def test_a_pass_that_is_stopped_goes_on_where_it_was(city, packs):
    await city.people()
    make, seen = packs["new"].make_reference_template, []

    def stopping(image):
        seen.append(image)
        if len(seen) == 2:
            raise PackError("the model broke")
        return make(image)

    packs["new"].blind = b""
    packs["new"].make_reference_template = stopping
    shown = await city.job("make", "new")
    assert (shown["job"]["state"], shown["job"]["error"]) == ("stopped", "the model broke")
    packs["new"].make_reference_template = make
    packs["new"].seen.clear()
    assert (await city.job("make", "new"))["job"]["changed"] == 2
    assert len(packs["new"].seen) == 2


async def test_a_pack_is_dropped_only_where_another_keeps_the_photograph(city, packs):
    one, _, three = await city.people()
    await city.job("make", "new")
    assert (await city.call("POST", "/v1/references/old/drop"))[0] == 409
    city.platform._face = packs["new"]
    shown = await city.job("drop", "old")
    assert shown["packs"] == {"new": 2, "old": 1}
    dropped = {c.holder_id.hex() for c in await city.changes() if isinstance(c, DropReference)}
    assert dropped == {one, three}
    assert (await city.job("drop", "old"))["job"]["changed"] == 0


async def test_a_pack_that_is_not_here_and_a_second_pass_are_refused(city, packs):
    await city.people(1)
    status, problem = await city.call("POST", "/v1/references/none/make")
    assert (status, "no pack none" in problem["detail"]) == (422, True)
    gate = threading.Event()
    make = packs["new"].make_reference_template
    packs["new"].make_reference_template = lambda image: (gate.wait(5), make(image))[1]
    assert (await city.call("POST", "/v1/references/new/make"))[0] == 202
    assert (await city.call("POST", "/v1/references/new/make"))[0] == 409
    gate.set()
    assert (await city.call("GET", "/v1/references", token="wrong"))[0] == 401
