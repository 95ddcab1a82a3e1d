"""`POST /v1/challenges`, and bursts that answer one."""

import base64

import pytest

from edge.hotpath.liveness import Pose
from tests.pipeline.desk import OWNER, STRANGER, picture_of
from tests.web.test_bad_input import PATH, form, site  # noqa: F401

CHALLENGES = "/v1/challenges"


def turning(action):
    sign = 1 if action == "turn_left" else -1
    return tuple(Pose(sign * turn, sign * turn, 0.0, 0.0, 0.1) for turn in (0.0, 10.0, 20.0, 28.0))


async def test_a_challenge_is_given_and_answered_by_a_burst(site):  # noqa: F811
    site.desk.policy("face", challenge="required")
    status, shown, headers = await site.post(CHALLENGES, json={"scene": "face"})
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert set(shown) == {"challenge_id", "actions", "words", "expires_s"}
    assert shown["expires_s"] == 20
    (action,), (words,) = shown["actions"], shown["words"]
    assert words["en"] and words["zh"]
    site.desk.face.track = turning(action)
    data = form(scene="face", request_id="c1", presentation=site.desk.code(),
                challenge_id=shown["challenge_id"])
    for _ in range(4):
        data.add_field("face_image", picture_of(OWNER), filename="x.jpg")
    status, answer, _ = await site.post(data=data)
    assert (status, answer["reason"]) == (200, "ok")
    assert answer["face"]["pad_checks"] == ["challenge"]


async def test_a_burst_comes_as_json_too(site):  # noqa: F811
    faces = [base64.b64encode(picture_of(name)).decode() for name in (OWNER, STRANGER, OWNER)]
    body = site.body(scene="face", face_images=faces)
    assert (await site.post(json=body))[1]["reason"] == "ok"
    # The same burst in parts is the same request.
    data = form(scene="face", request_id=body["request_id"], presentation=body["presentation"])
    for name in (OWNER, STRANGER, OWNER):
        data.add_field("face_image", picture_of(name), filename="x.jpg")
    assert (await site.post(data=data))[1]["reason"] == "ok"
    too_many = site.body(scene="face", face_images=faces * 3)
    assert (await site.post(json=too_many))[0] == 422
    path = f"{PATH}/{'0' * 32}/captures"
    assert (await site.post(path, json={"request_id": "1"}))[0] == 422


@pytest.mark.parametrize("body,expected", [
    ({}, 422), ({"scene": 7}, 422), ({"scene": "face", "more": 1}, 422), ({"scene": "gone"}, 404),
    ({"scene": "face"}, 409), ({"scene": "code"}, 409),
])
async def test_what_cant_have_a_challenge_says_so(site, body, expected):  # noqa: F811
    status, problem, _ = await site.post(CHALLENGES, json=body)
    assert (status, problem["status"]) == (expected, expected)


async def test_a_challenge_is_for_gates_only_and_for_json(site):  # noqa: F811
    assert (await site.post(CHALLENGES, token="g1.AAAA", json={"scene": "face"}))[0] == 401
    assert (await site.post(CHALLENGES, data=form(scene="face")))[0] == 415


async def test_a_gate_that_asks_for_ever_is_told_to_wait(site):  # noqa: F811
    site.desk.policy("face", challenge="if_available")
    statuses = [(await site.post(CHALLENGES, json={"scene": "face"}))[0] for _ in range(65)]
    assert statuses[:64] == [200] * 64
    assert statuses[64] == 503


async def test_the_interface_describes_challenges(site):  # noqa: F811
    async with site.session.get(site.server.make_url("/openapi.json")) as response:
        document = await response.json()
    shown = document["components"]["schemas"]["ChallengeShown"]["properties"]
    assert set(shown) == {"challenge_id", "actions", "words", "expires_s"}
    assert "409" in document["paths"]["/v1/challenges"]["post"]["responses"]
