"""`POST /v1/identifications` over real HTTP: its two forms, and what isn't one."""

import base64
import hashlib

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer

from edge.metrics import NodeMetrics
from edge.ui.pages import Pages
from edge.web.callers import Gates
from edge.web.server import Server
from tests.pipeline.desk import GATE, OWNER, STRANGER, picture_of
from tests.pipeline.test_identify import Hall
from tests.web.test_bad_input import LIMITS, SECRET, Site, form

PATH = "/v1/identifications"


@pytest.fixture
async def site(tmp_path):
    hall = Hall(tmp_path)
    gate = msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())
    app = Server(verifier=hall.desk.verifier, decider=None, looker=None, shift=None,
                 identifier=hall.identifier, callers=Gates(lambda: {"g1": gate}), status=None,
                 metrics=NodeMetrics("test"), limits=LIMITS, version="test").application(
                     Pages(("edge.web",), ("节点", "node")))
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        yield Site(hall.desk, server, session)
    await server.close()
    hall.gallery.close()
    hall.desk.close()


def body(face: int = OWNER, **differently) -> dict:
    picture = base64.b64encode(picture_of(face)).decode()
    return {"scene": "face", "request_id": "q1", "face_image": picture, **differently}


async def test_a_face_is_found_and_its_stages_are_told(site):
    status, answer, headers = await site.post(PATH, json=body())
    assert (status, answer["reason"], answer["face"]["gallery"]) == (200, "ok", 31)
    assert answer["disclosed"] == {"name": "马**"}
    assert set(headers["Server-Timing"].split("=")[0].split(";")) & {"face", "cache"}


async def test_nobody_found_is_an_answer_that_names_the_other_way(site):
    status, answer, _ = await site.post(PATH, json=body(STRANGER))
    assert (status, answer["decision"], answer["reason"], answer["next"]) == (
        200, "refer", "nobody", "show_code")
    assert answer["credential"] is None


async def test_a_burst_comes_as_parts_and_is_the_same_request(site):
    parts = {"scene": "face", "request_id": "q1", "face_image": picture_of(OWNER)}
    status, answer, _ = await site.post(PATH, data=form(**parts))
    assert (status, answer["reason"]) == (200, "ok")
    assert (await site.post(PATH, json=body()))[1] == answer


@pytest.mark.parametrize(("differently", "expected"), [
    ({"scene": "code"}, 403), ({"scene": "unheard"}, 404), ({"face_image": "…"}, 422),
    ({"face_image": None}, 422), ({"presentation": "KH1:xx"}, 422), ({"request_id": ""}, 422),
    ({"face_image": base64.b64encode(b"no image").decode()}, 415),
])
async def test_what_is_no_identification_has_its_status(site, differently, expected):
    assert (await site.post(PATH, json=body(**differently)))[0] == expected


@pytest.mark.parametrize("parts", [
    {"request_id": "q1", "face_image": picture_of(OWNER)},
    {"scene": "face", "request_id": "q1"},
    {"scene": "face", "request_id": "q1", "face_image": picture_of(OWNER), "presentation": "x"},
    {"scene": "face", "request_id": "q1", "face_image": picture_of(OWNER),
     "code_image": picture_of(OWNER)},
])
async def test_wrong_parts_are_422(site, parts):
    assert (await site.post(PATH, data=form(**parts)))[0] == 422


async def test_an_unknown_gate_finds_nobody_at_all(site):
    assert (await site.post(PATH, token="g1.x", json=body()))[0] == 401
    assert site.desk.journal.size == 0
