"""Calls that only ask how things are: they have a gate's rate too, and cost the node little."""

import asyncio
import base64
import hashlib
import time
from types import SimpleNamespace

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.ui.pages import Pages, language
from edge.web.callers import Gates
from edge.web.server import Server
from edge.web.status import STATUS_KEPT_S, KeptStatus
from edge.web.status_page import SHOWN_KEPT_S, StatusPage
from tests.pipeline.desk import GATE, Desk
from tests.web.serving import Served

SECRET = bytes(range(32))
TOKEN = "g1." + base64.urlsafe_b64encode(SECRET).decode().rstrip("=")
BURST = 20
LIMITS = Limits(gate_rate_per_s=0.001, gate_burst=BURST)


class Status(msgspec.Struct):
    ready: bool
    not_ready: tuple[str, ...] = ()


@pytest.fixture
async def site(tmp_path):
    desk = Desk(tmp_path)
    gate = msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())
    found = SimpleNamespace(made=0, ready=True, metrics=NodeMetrics("test"))

    def status():
        found.made += 1
        return Status(found.ready, () if found.ready else ("no keys are held yet",))

    kept = KeptStatus(status)
    handlers = Server(
        verifier=desk.verifier, decider=None, looker=None, shift=lambda gate_id, limit: [],
        callers=Gates(lambda: {"g1": gate}), status=kept, metrics=found.metrics,
        limits=LIMITS, version="test")
    page = StatusPage(Drawn(), SignedIn(), kept.now, lambda: None, time.monotonic)
    server = await Served(
        handlers.application(Pages(("edge.web",), ("节点", "node")), page.routes()),
        handlers.connections()).start()
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, **kwargs) -> int:
            async with session.request(
                    method, server.make_url(path), headers={"Authorization": f"Bearer {TOKEN}"},
                    **kwargs) as response:
                await response.read()
                return response.status

        found.ask = ask
        yield found
    await server.close()
    desk.close()


async def test_the_page_and_who_asks_over_http_share_one_status(site, monkeypatch):
    monkeypatch.setattr("edge.web.status.STATUS_KEPT_S", 60.0)
    for path in ("/readyz", "/v1/status", "/status", "/status?x", "/status/live"):
        assert await site.ask("GET", path) == 200
    assert site.made == 1


async def test_a_status_is_made_anew_and_written_anew_once_it_is_old():
    now, made = [5.0], iter((Status(ready=False), Status(ready=True)))
    kept = KeptStatus(lambda: next(made), lambda: now[0])
    assert not kept.now().ready
    now[0] += STATUS_KEPT_S - 0.01
    assert b'"ready":false' in kept.body()
    now[0] += 0.01
    assert b'"ready":true' in kept.body()
    assert kept.now().ready


@pytest.mark.parametrize("method,path,body", [
    ("GET", "/v1/status", None), ("GET", "/v1/scenes", None), ("GET", "/v1/verifications", None),
    ("POST", "/v1/challenges", {"scene": "code"}),
])
async def test_a_gate_that_only_asks_is_held_to_its_rate_too(site, method, path, body):
    statuses = [await site.ask(method, path, json=body) for _ in range(BURST + 5)]
    assert 429 not in statuses[:BURST]
    assert statuses[BURST:] == [429] * 5
    assert site.metrics.tally.gates["g1"].refused == 5
    # What says whether the node lives asks no gate, so it has no rate.
    assert await site.ask("GET", "/readyz") == 200


async def test_many_who_ask_whether_it_is_ready_cost_as_much_as_few(site):
    began = time.monotonic()
    assert [await site.ask("GET", "/readyz") for _ in range(200)] == [200] * 200
    took_s = time.monotonic() - began
    assert site.made <= 1 + took_s / STATUS_KEPT_S
    assert site.made < 200


async def test_what_is_kept_is_kept_for_a_moment_only(site):
    assert await site.ask("GET", "/readyz") == 200
    site.ready = False
    await asyncio.sleep(STATUS_KEPT_S)
    assert await site.ask("GET", "/readyz") == 503
    assert STATUS_KEPT_S <= 0.25


class Drawn:
    """Stands for the templates: says what it was asked for."""

    def __init__(self) -> None:
        self.made = []

    def render(self, request, template, *, session, **values):
        self.made.append((language(request), session))
        return web.Response(text=f"{language(request)} {session}")


class SignedIn:
    """Stands for the sign-in: who has the cookie `who` is signed in."""

    async def session(self, request):
        return request.cookies.get("who")

    def token(self, session):
        return "csrf"


async def test_the_status_page_is_made_once_a_moment_for_whoever_has_no_sign_in():
    drawn, now = Drawn(), [100.0]
    page = StatusPage(drawn, SignedIn(), lambda: None, lambda: None, lambda: now[0])
    app = web.Application()
    app.add_routes(page.routes())
    async with TestClient(TestServer(app)) as client:

        async def ask(lang="en", query="", **cookies) -> str:
            headers = {"Accept-Language": lang} | ({
                "Cookie": f"who={cookies['who']}"} if cookies else {})
            async with client.get(f"/status{query}", headers=headers) as response:
                return await response.text()

        assert {await ask() for _ in range(50)} == {"en None"}
        assert await ask("zh") == "zh None"
        assert len(drawn.made) == 2
        # Nobody sees what was made for somebody who is signed in.
        assert await ask(who="ma") == "en ma"
        assert await ask() == "en None"
        assert len(drawn.made) == 3
        now[0] += SHOWN_KEPT_S + 0.01
        assert await ask() == "en None"
        assert len(drawn.made) == 4


async def test_a_query_gives_nobody_a_page_of_its_own():
    drawn = Drawn()
    page = StatusPage(drawn, SignedIn(), lambda: None, lambda: None, lambda: 100.0)
    app = web.Application()
    app.add_routes(page.routes())
    async with TestClient(TestServer(app)) as client:
        for number in range(20):
            async with client.get(f"/status?{number}", allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/status")
            async with client.get(f"/status?{number}") as response:
                assert response.status == 200
    assert len(drawn.made) == 1
