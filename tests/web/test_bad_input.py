"""Bad input over real HTTP: each gets its answer in time, and the node serves the others on.

Everything is tried on connections that are aiohttp's alone and on the node's own, which have the
short way before aiohttp's.
"""

import asyncio
import base64
import hashlib
import json
import struct
import zlib

import aiohttp
import msgspec
import pytest

from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.ui.pages import Pages
from edge.web.callers import Gates
from edge.web.server import Server
from tests.pipeline.desk import GATE, OWNER, STEP, Desk, picture_of
from tests.web.serving import Served

SECRET = bytes(range(32))
TOKEN = "g1." + base64.urlsafe_b64encode(SECRET).decode().rstrip("=")
LIMITS = Limits(body_s_max=0.4, body_bytes_max=4 << 20, image_bytes_max=2 << 20)
PATH = "/v1/verifications"


class Site:
    def __init__(self, desk: Desk, server: Served, session: aiohttp.ClientSession) -> None:
        self.desk, self.server, self.session = desk, server, session

    async def post(self, path=PATH, token=TOKEN, **kwargs):
        headers = {"Authorization": f"Bearer {token}", **kwargs.pop("headers", {})}
        url = self.server.make_url(path)
        async with self.session.post(url, headers=headers, **kwargs) as response:
            return response.status, json.loads(await response.read()), response.headers

    def body(self, **differently) -> dict:
        return {"scene": "code", "request_id": f"q{next(self.desk.requests)}",
                "presentation": self.desk.code(), **differently}


@pytest.fixture(params=["aiohttp", "short"])
async def site(tmp_path, request):
    desk = Desk(tmp_path)
    gate = msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())
    gates = {"g1": gate}
    handlers = Server(verifier=desk.verifier, decider=None, looker=None, shift=None,
                      callers=Gates(lambda: gates), status=None,
                      metrics=NodeMetrics("test"), limits=LIMITS, version="test")
    app = handlers.application(Pages(("edge.web",), ("节点", "node")))
    connections = handlers.connections() if request.param == "short" else None
    server = await Served(app, connections).start()
    async with aiohttp.ClientSession() as session:
        yield Site(desk, server, session)
    await server.close()
    desk.close()


def form(**parts) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    for name, value in parts.items():
        filename = "x.jpg" if isinstance(value, bytes) else None
        data.add_field(name, value, filename=filename)
    return data


def bomb() -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


async def test_a_good_call_is_answered_with_its_stages(site):
    status, answer, headers = await site.post(json=site.body())
    assert (status, answer["decision"], answer["next"]) == (200, "accept", None)
    assert set(answer) == {
        "verification_id", "decision", "reason", "message", "next", "credential", "disclosed",
        "face", "evidence", "receipt"}
    assert "authenticate;dur=" in headers["Server-Timing"]


@pytest.mark.parametrize("differently,expected", [
    ({"scene": "nowhere"}, 404), ({"scene": 7}, 422), ({"surprise": 1}, 422),
    ({"request_id": ""}, 422), ({"request_id": "x" * 65}, 422), ({"presentation": None}, 422),
    ({"face_image": "not base64!"}, 422),
    ({"face_image": base64.b64encode(b"no image").decode()}, 415),
    ({"face_image": base64.b64encode(bomb()).decode()}, 413),
    ({"face_image": base64.b64encode(b"\xff\xd8\xff").decode()}, 422),
])
async def test_wrong_fields_have_their_status(site, differently, expected):
    status, problem, headers = await site.post(json=site.body(**differently))
    assert status == expected
    assert problem["status"] == expected
    assert headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("missing", ["scene", "request_id", "presentation"])
async def test_missing_fields_are_named(site, missing):
    body = site.body()
    del body[missing]
    status, problem, _ = await site.post(json=body)
    assert status == 422
    assert missing in problem["detail"]


@pytest.mark.parametrize("data,kind,expected", [
    (b"{", "application/json", 400), (b"\xff\xfe", "application/json", 400),
    (b"{}", "text/plain", 415), (b"x", "application/x-www-form-urlencoded", 415),
    (b"rubbish", "multipart/form-data; boundary=b", 400),
    (b"x" * (5 << 20), "application/json", 413),
])
async def test_bodies_that_cannot_be_read(site, data, kind, expected):
    status, _, _ = await site.post(data=data, headers={"Content-Type": kind})
    assert status == expected


@pytest.mark.parametrize("token", [
    "", "g1", "g1.AAAA", "nobody." + TOKEN[3:], TOKEN + "A", "x" * 500, "g1.!!!"])
async def test_an_unknown_gate_gets_401_and_no_hint(site, token):
    status, problem, headers = await site.post(token=token, json=site.body())
    assert (status, headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert "g1" not in problem["detail"]


async def test_a_foreign_scene_is_forbidden(site):
    policies = site.desk.trust.policies
    site.desk.trust = msgspec.structs.replace(
        site.desk.trust, policies={**policies, "other": policies["code"]})
    status, _, _ = await site.post(json=site.body(scene="other"))
    assert status == 403


@pytest.mark.parametrize(
    "code", ["KH1:" + "0" * 5000, "码" * 20, "KH1:\u0000", " KH1:00", "KH1:00\n"])
async def test_strange_codes_are_malformed_and_the_node_serves_on(site, code):
    status, answer, _ = await site.post(json=site.body(presentation=code))
    assert (status, answer["reason"]) == (200, "malformed")


async def test_codes_with_spaces_and_signs_survive_both_ways(site):
    texts = {step: site.desk.code(step) for step in range(STEP - 1, STEP + 2)}
    assert any(set(" +%") & set(text) for text in texts.values())
    reasons = []
    for step, text in texts.items():
        body = site.body(presentation=text)
        data = body if step % 2 else None
        fields = None if step % 2 else form(**body)
        reasons.append((await site.post(json=data, data=fields))[1]["reason"])
    assert reasons == ["ok", "ok", "ok"]


async def test_a_frame_and_a_face_come_as_parts(site):
    frame = site.desk.code().encode()
    status, answer, _ = await site.post(data=form(
        scene="face", request_id="m1", code_image=frame, face_image=picture_of(OWNER)))
    assert (status, answer["reason"]) == (200, "ok")


async def test_json_and_multipart_of_the_same_content_are_the_same_request(site):
    body = site.body()
    first = (await site.post(json=body))[1]
    assert (await site.post(data=form(**body)))[1] == first
    assert (await site.post(json={**body, "presentation": "KH1:"}))[0] == 409


@pytest.mark.parametrize("parts", [
    {"scene": "code", "request_id": "1"}, {"request_id": "1", "presentation": "x"},
    {"scene": "code", "request_id": "1", "presentation": "x", "odd": "y"},
    {"scene": "code", "request_id": "1", "presentation": "x", "code_image": b"y"},
])
async def test_wrong_parts_are_422(site, parts):
    assert (await site.post(data=form(**parts)))[0] == 422


async def test_a_frame_that_is_no_image_is_415(site):
    status, _, _ = await site.post(data=form(
        scene="code", request_id="1", code_image=b"not an image"))
    assert status == 415


async def test_captures_of_unknown_and_closed_verifications(site):
    path = PATH + "/" + "0" * 32 + "/captures"
    data = form(request_id="1", face_image=picture_of(OWNER))
    assert (await site.post(path, data=data))[0] == 404
    opened = (await site.post(json=site.body(scene="face")))[1]
    path = f"{PATH}/{opened['verification_id']}/captures"
    for request_id, expected in (("2", 200), ("3", 409)):
        data = form(request_id=request_id, face_image=picture_of(OWNER))
        assert (await site.post(path, data=data))[0] == expected
    assert (await site.post(path, data=form(request_id="4")))[0] == 422


async def test_a_body_that_never_ends_is_told_so_and_others_are_served(site):
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write((f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
                  "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{").encode())
    assert (await site.post(json=site.body()))[0] == 200
    line = await asyncio.wait_for(reader.readline(), 3)
    assert b" 408 " in line
    writer.close()


async def test_clients_that_hang_up_hurt_nobody(site):
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        writer.transport.abort()
    assert (await site.post(json=site.body()))[0] == 200


async def test_hundreds_of_idle_connections_leave_room_for_a_call(site):
    idle = [await asyncio.open_connection("127.0.0.1", site.server.port) for _ in range(400)]
    assert (await site.post(json=site.body()))[0] == 200
    for _, writer in idle:
        writer.close()


async def test_paths_and_methods_that_are_not_there_are_problems(site):
    for method, path, expected in (("GET", "/nothing", 404), ("PUT", PATH, 405)):
        async with site.session.request(method, site.server.make_url(path)) as response:
            assert response.status == expected
            assert json.loads(await response.read())["status"] == expected


async def test_a_gate_sees_its_own_scenes_and_what_they_disclose(site):
    url = site.server.make_url("/v1/scenes")
    async with site.session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
        scenes = json.loads(await response.read())["scenes"]
    faces = {scene["scene"]: scene["face"] for scene in scenes}
    assert faces == {"face": "required", "code": "off"}
    assert scenes[0]["discloses"] == ["name", "missing"]
    async with site.session.get(url) as response:
        assert response.status == 401


async def test_stopping_lets_calls_in_flight_finish(site):
    slow, journal = asyncio.Event(), site.desk.journal
    append, append_all = journal.append, journal.append_all

    async def slowly(record):
        slow.set()
        await asyncio.sleep(0.3)
        return await append(record)

    def slowly_all(records, settled):
        slow.set()
        asyncio.get_running_loop().call_later(0.3, append_all, records, settled)

    journal.append, journal.append_all = slowly, slowly_all
    call = asyncio.create_task(site.post(json=site.body()))
    await slow.wait()
    await site.server.close()
    assert (await call)[1]["reason"] == "ok"


async def test_the_interface_describes_its_routes(site):
    async with site.session.get(site.server.make_url("/openapi.json")) as response:
        document = json.loads(await response.read())
    assert {PATH, PATH + "/{id}/captures", "/v1/scenes", "/v1/status"} <= set(document["paths"])
    assert "Answer" in document["components"]["schemas"]


async def test_captures_never_touch_the_disk(site, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    mark = b"\xabFACE-BYTES\xcd" * 50
    picture = picture_of(OWNER)[:-1] + mark + bytes([OWNER])
    await site.post(data=form(scene="face", request_id="d", presentation=site.desk.code(),
                              face_image=picture))
    assert site.desk.journal.size == 1
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or mark[:12] not in path.read_bytes(), path
