"""The open loop before real HTTP servers, honest and otherwise."""

import asyncio
import time

import msgspec
import pytest
from aiohttp import web

from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from loadtest.arrivals import Shape, arrivals
from loadtest.client import Bounds, Client
from loadtest.engine import Load
from loadtest.scenes import Mix, Scenes
from loadtest.tally import Tally
from loadtest.target import parse_target
from tests.loadtest.conftest import NOW

STALL_S = 0.5
PATIENT_S = 20.0
"""A deadline that no busy machine misses, where lateness isn't what is tested."""


def answer(decision="accept", reason="ok"):
    return {"verification_id": "ab" * 16, "decision": decision, "reason": reason, "next": None}


async def fields_of(request) -> dict[str, bytes]:
    if request.content_type == "application/json":
        return {k: v.encode() for k, v in msgspec.json.decode(await request.read()).items()}
    reader, found = await request.multipart(), {}
    async for part in reader:
        found[part.name] = bytes(await part.read())
    return found


class Desk:
    """A node that checks what it is sent by the verifier's own rules."""

    def __init__(self, ring) -> None:
        self.ring, self.seen, self.stalled_until, self.gates = ring, [], 0.0, set()

    async def verify(self, request):
        fields = await fields_of(request)
        self.gates.add(request.headers["Authorization"])
        await asyncio.sleep(max(0.0, self.stalled_until - time.monotonic()))
        found = check_presentation(fields["presentation"].decode(), NOW, self.ring, DriftWindow())
        assert isinstance(found, AuthenticPresentation)
        self.seen.append((found.credential_id, found.step))
        if fields["scene"] == b"hotel.checkin" and "face_image" not in fields:
            return web.json_response(answer("retry", "face_absent"))
        return web.json_response(answer())

    async def capture(self, request):
        assert (await fields_of(request))["face_image"] == b"\xff\xd8face"
        return web.json_response(answer())


@pytest.fixture
async def load(aiohttp_server, ring, city_data):
    """Give a function that runs a load against a handler."""
    clients = []

    async def run(verify, *, rate=100.0, seconds=1.0, capture=None, mix="code",
                  deadline_s=PATIENT_S, **bounds):
        app = web.Application()
        app.router.add_post("/v1/verifications", verify)
        if capture:
            app.router.add_post("/v1/verifications/{id}/captures", capture)
        server = await aiohttp_server(app)
        target = parse_target(f"http://127.0.0.1:{server.port}")
        client = Client(target, Bounds(**{"timeout_s": PATIENT_S, **bounds}))
        clients.append(client)
        scenes = Scenes(city_data, Mix(shares={mix: 1.0}), target, suite=1, run="t",
                        now=lambda: NOW)
        tally = Tally(rate, seconds, deadline_s)
        due = arrivals(Shape(), rate, seconds)
        return await asyncio.wait_for(Load(client, scenes).run(due, tally, 10_000), 30)

    yield run
    for client in clients:
        client.close()


@pytest.mark.parametrize("kind", ["code", "face", "capture"])
async def test_every_kind_is_genuine_fresh_and_accepted(load, ring, kind):
    desk = Desk(ring)
    tally = await load(desk.verify, capture=desk.capture, mix=kind)
    assert tally.due == tally.good == 100
    assert len(set(desk.seen)) == 100
    assert len(desk.gates) == 3


async def test_a_stall_is_in_the_latency_of_everybody_behind_it(load, ring):
    desk = Desk(ring)
    desk.stalled_until = time.monotonic() + STALL_S + 0.1
    tally = await load(desk.verify, connections_max=1)
    # One connection: a closed loop would have seen one slow answer. Half of all were due while
    # the node stood still, so the median has waited too.
    assert tally.due == 100
    assert tally.percentile_ms(75.0) > STALL_S * 1e3 / 3
    assert tally.percentile_ms(100.0) > STALL_S * 1e3 * 0.8


async def test_a_silent_node_is_a_timeout_and_ends(load):
    async def silent(_):
        await asyncio.sleep(30)

    tally = await load(silent, rate=20, seconds=0.5, timeout_s=0.4)
    assert tally.outcomes == {("code", "timeout"): 10}
    assert tally.good == tally.answered == 0
    assert tally.percentile_ms(50.0) >= 390


async def test_refusals_are_counted_by_name_and_are_no_goodput(load):
    async def refuse(_):
        return web.Response(status=503)

    async def another(_):
        return web.json_response(answer("reject", "presentation_replayed"))

    async def garbage(_):
        return web.Response(body=b"{")

    assert (await load(refuse)).outcomes == {("code", "http 503"): 100}
    tally = await load(another)
    assert tally.outcomes == {("code", "reject/presentation_replayed"): 100}
    assert (tally.good, tally.answered) == (0, 100)
    assert (await load(garbage)).outcomes == {("code", "unreadable answer"): 100}


async def test_answers_after_the_deadline_are_late_and_not_good(load):
    async def slow(_):
        await asyncio.sleep(1.2)
        return web.json_response(answer())

    tally = await load(slow, rate=10, seconds=0.5, deadline_s=1.0)
    assert (tally.late, tally.good, tally.answered) == (5, 0, 5)


async def test_a_node_that_closes_each_connection_is_served_by_new_ones(load, ring):
    async def closing(_):
        response = web.json_response(answer())
        response.force_close()
        return response

    assert (await load(closing)).good == 100


async def test_more_than_may_wait_is_not_sent_and_said(load):
    async def slow(_):
        await asyncio.sleep(0.6)
        return web.json_response(answer())

    tally = await load(slow, connections_max=2, waiting_max=3, rate=40, seconds=0.5)
    assert tally.outcomes["code", "unsent"] > 5
    assert sum(tally.outcomes.values()) == tally.due == 20


async def test_a_spent_crowd_is_said_and_nothing_is_shown_twice(load, ring):
    desk = Desk(ring)
    tally = await load(desk.verify, rate=500.0, seconds=1.0)
    assert tally.outcomes["code", "no fresh wallet"] == 100
    assert len(set(desk.seen)) == len(desk.seen) == 400


async def test_nobody_listening_is_a_failed_connection(city_data):
    target = parse_target("http://127.0.0.1:9")
    client = Client(target, Bounds(timeout_s=1.0))
    scenes = Scenes(city_data, Mix(shares={"code": 1.0}), target, suite=1, run="t",
                    now=lambda: NOW)
    tally = await asyncio.wait_for(
        Load(client, scenes).run(arrivals(Shape(), 50, 0.4), Tally(50, 0.4, 1.0), 1_000), 20)
    client.close()
    assert tally.outcomes == {("code", "connect"): 20}


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n",
                                   b"HTTP/1.1 xxx\r\nContent-Length: 2\r\n\r\nhi",
                                   b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
                                   b"x" * 40_000])
async def test_what_is_no_http_ends_the_request(reply):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        await asyncio.sleep(5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(parse_target(f"http://127.0.0.1:{port}"), Bounds(timeout_s=3.0))
    ended = asyncio.get_running_loop().create_future()
    client.send(b"GET / HTTP/1.1\r\n\r\n", lambda *got: ended.set_result(got))
    assert await asyncio.wait_for(ended, 5) == (0, b"protocol")
    client.close()
    server.close()
