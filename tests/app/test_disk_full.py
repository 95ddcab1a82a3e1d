"""A whole node on a disk that is really full: it stops accepting, says why, and comes back."""

import time

import aiohttp
import pytest

from edge.audit.verify import verify_journal
from edge.protocol.kh1 import step_at
from kanhe.demo.people import PEOPLE
from tests.fakes.full_disk import MIB, small_disk
from tests.fakes.running_city import running_city
from tests.fakes.waiting import until

WITHIN_S = 30.0
SCENE = "office.gatehouse"


@pytest.fixture
async def city(tmp_path, face_pack_dir):
    """A city whose node keeps its data on a small disk of its own."""
    with small_disk("ext4", tmp_path, 200 * MIB) as disk:
        folder = tmp_path / "city"
        folder.mkdir()
        (folder / "edge").symlink_to(disk.folder / "node")
        (disk.folder / "node").mkdir()
        async with running_city(folder, face_pack_dir.parent) as city:
            city.disk = disk
            yield city


async def get(city, path):
    headers = {"Authorization": f"Bearer {city.gate_credential}"}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.get(city.node_url + path) as response):
        return response.status, await response.text()


async def show(city, request_id, code):
    headers = {"Authorization": f"Bearer {city.gate_credential}"}
    body = {"scene": SCENE, "request_id": request_id, "presentation": code}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.post(city.node_url + "/v1/verifications", json=body) as response):
        return response.status, await response.json(content_type=None)


async def test_a_full_disk_stops_accepting_says_why_and_mends_without_a_hand(city):
    codes = iter((person.key, type_) for person in PEOPLE
                 for type_ in ("resident_id", "driving_licence"))

    def code():
        key, type_ = next(codes)
        return city.wallets[key].code(type_, step_at(time.time()))

    async def is_ready():
        return (await get(city, "/readyz"))[0] == 200

    async def is_not_ready():
        return not await is_ready()

    async def accepts_again():
        return (await show(city, f"r{time.monotonic()}", "KH1:BB8"))[0] == 200

    await until(is_ready, WITHIN_S)
    assert await accepted(city, "before", code())
    city.disk.fill()
    status, problem = await show(city, "full-0", text := code())
    assert status == 503, problem
    assert "full" in problem["detail"]
    await until(is_not_ready, WITHIN_S)
    assert "full" in (await get(city, "/readyz"))[1]
    assert "kanhe_journal_accepting 0.0" in (await get(city, "/metrics"))[1]
    assert '"accepting":"no"' in (await get(city, "/v1/status"))[1].replace(" ", "")
    assert (await get(city, "/livez"))[0] == 200
    # The same request is answered once there is room.
    city.disk.free()
    await until(is_ready, WITHIN_S)
    status, answer = await show(city, "full-0", text)
    assert status == 200
    assert answer["reason"] in {"ok", "step_expired"}
    await until(accepts_again, WITHIN_S)
    assert await accepted(city, "after", code())
    # And a node that is started on a full disk comes up, says so, and mends.
    city.node.stop()
    city.disk.fill()
    city.run_node()
    status, problem = await show(city, "full-1", code())
    assert status == 503, problem
    assert not await is_ready()
    city.disk.free()
    await until(is_ready, WITHIN_S)
    assert await accepted(city, "last", code())
    city.node.stop()
    report = verify_journal(city.folder / "edge" / "journal")
    assert report.whole, report.problems


async def accepted(city, request_id, code):
    status, answer = await show(city, request_id, code)
    return status == 200 and answer["decision"] == "accept"
