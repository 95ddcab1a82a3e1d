"""The short way: the same answers as aiohttp's way, in order, whole, and within its bounds."""

import asyncio
import base64
import hashlib
import json

import msgspec
import pytest
from aiohttp import web

from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.ui.pages import Pages
from edge.web import short
from edge.web.callers import Gates
from edge.web.heads import Heads
from edge.web.server import Server
from tests.pipeline.desk import GATE, STEP, Desk
from tests.web.serving import Served

SECRET = bytes(range(32))
TOKEN = "g1." + base64.urlsafe_b64encode(SECRET).decode().rstrip("=")
KNOWN = msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())
LIMITS = Limits(body_s_max=0.4, gate_rate_per_s=0.001, gate_burst=60)


class Site:
    def __init__(self, folder) -> None:
        self.desk, self.gates = Desk(folder), {"g1": KNOWN}
        self.short = 0
        self.handlers = Server(
            verifier=self.desk.verifier, decider=None, looker=None, shift=None,
            callers=Gates(lambda: self.gates), status=None, metrics=NodeMetrics("test"),
            limits=LIMITS, version="test")
        self.quick = self.handlers.quick
        self.handlers.quick = self._counted

    def _counted(self, gate, body, respond):
        self.short += 1
        self.quick(gate, body, respond)

    async def start(self) -> "Site":
        app = self.handlers.application(Pages(("edge.web",), ("节点", "node")))
        self.server = await Served(app, self.handlers.connections()).start()
        return self

    def request(self, *, token=TOKEN, head: str = "", path="/v1/verifications", **body) -> bytes:
        fields = {"scene": "code", "request_id": f"q{next(self.desk.requests)}",
                  "presentation": self.desk.code(), **body}
        data = json.dumps(fields).encode()
        return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {token}\r\n{head}Content-Length: {len(data)}\r\n\r\n"
                ).encode() + data

    async def connect(self) -> "Client":
        return Client(*await asyncio.open_connection("127.0.0.1", self.server.port))


class Client:
    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict, bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self.reader.readexactly(length)
        try:
            return int(head.split()[1]), json.loads(body), head
        except ValueError:
            return int(head.split()[1]), {}, head

    async def ask(self, request: bytes) -> tuple[int, dict, bytes]:
        self.writer.write(request)
        return await self.answer()


@pytest.fixture
async def site(tmp_path):
    site = await Site(tmp_path).start()
    yield site
    await site.server.close()
    site.desk.close()


async def test_plain_verifications_take_it(site):
    client = await site.connect()
    for _ in range(3):
        status, answer, head = await client.ask(site.request())
        assert (status, answer["receipt"]["index"]) == (200, site.desk.journal.size - 1)
    assert site.short == 3
    assert b"Cache-Control: no-store" in head
    assert b"Content-Type: application/json\r\n" in head
    assert b"Server-Timing: authenticate;dur=" in head
    assert b"\r\nDate: " in head


async def test_both_ways_give_the_same_answer_to_the_same_request(site):
    client = await site.connect()
    request = site.request()
    first = await client.ask(request)
    # A header that the short way leaves alone makes the same call aiohttp's.
    slowly = await client.ask(request.replace(b"Host: x", b"Host: x\r\nConnection: close"))
    assert slowly[:2] == first[:2]
    assert b"aiohttp" in slowly[2]
    assert site.short == 1


async def test_pipelined_calls_are_answered_in_their_order(site):
    client = await site.connect()
    codes = [site.desk.code(STEP + n) for n in (-1, 0, 1)] * 6
    requests = [site.request(presentation=code, request_id=f"p{n}")
                for n, code in enumerate(codes)]
    client.writer.write(b"".join(requests))
    answers = [await client.answer() for _ in codes]
    assert [status for status, _, _ in answers] == [200] * len(codes)
    indices = [answer["receipt"]["index"] for _, answer, _ in answers]
    assert indices == sorted(indices)
    assert answers[0][1]["reason"] == "ok"
    assert answers[3][1]["reason"] == "presentation_replayed"


async def test_a_call_may_come_in_pieces(site):
    client = await site.connect()
    request = site.request()
    for at in range(0, len(request), 40):
        client.writer.write(request[at : at + 40])
        await asyncio.sleep(0.002)
    assert (await client.answer())[0] == 200
    head, _, body = site.request(presentation=site.desk.code(STEP + 1)).partition(b"\r\n\r\n")
    again = await site.connect()
    again.writer.write(head + b"\r\n\r\n")
    await asyncio.sleep(0.02)
    again.writer.write(body)
    assert (await again.answer())[1]["reason"] == "ok"
    assert site.short == 1


async def test_a_connection_comes_back_to_it_after_another_call(site):
    client = await site.connect()
    scenes = f"GET /v1/scenes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    assert (await client.ask(scenes.encode()))[1]["scenes"]
    assert (await client.ask(site.request()))[0] == 200
    assert (await client.ask(scenes.encode()))[0] == 200
    assert (await client.ask(site.request(presentation=site.desk.code(STEP + 1))))[0] == 200
    assert site.short == 2


async def test_what_is_pipelined_behind_another_call_is_answered_after_it(site):
    client = await site.connect()
    scenes = f"GET /v1/scenes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    client.writer.write(site.request() + scenes.encode() + site.request())
    answers = [(await client.answer())[1] for _ in range(3)]
    assert [next(iter(answer)) for answer in answers] == [
        "verification_id", "scenes", "verification_id"]


async def test_strangers_are_refused_and_not_remembered(site):
    client = await site.connect()
    for token in ("g1.AAAA", "nobody." + TOKEN[3:], TOKEN + "A"):
        status, problem, head = await client.ask(site.request(token=token))
        assert (status, problem["status"]) == (401, 401)
        assert b"WWW-Authenticate: Bearer" in head
        assert b"application/problem+json" in head
    assert (site.short, (await client.ask(site.request()))[0]) == (0, 200)


async def test_a_gate_that_was_revoked_is_a_stranger_at_once(site):
    client = await site.connect()
    assert (await client.ask(site.request()))[0] == 200
    site.gates = {}
    assert (await client.ask(site.request()))[0] == 401


async def test_a_head_is_known_again_by_its_bytes_only():
    gates = {"g1": KNOWN}
    heads = Heads(lambda: gates)
    head = (b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: 9\r\n\r\n" % TOKEN.encode())

    assert heads.parse(head).gate is KNOWN
    assert heads.parse(head) is heads.parse(head)
    assert heads.parse(head.replace(b"Length: 9", b"Length: 8")).body_bytes == 8
    for unusual in (
        head.replace(b"POST", b"PUT "), head.replace(b"/v1/ver", b"/v1/Ver"),
        head.replace(b"1.1\r\n", b"1.0\r\n"), head.replace(b"json", b"jsonp"),
        head.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        head.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked"),
        head.replace(b"Content-Length: 9", b"Content-Length: 9\r\nContent-Length: 8"),
        head.replace(b"Host: x\r\n", b"Host: x\n"), head.replace(b"Host: x", b"Host : x"),
        head.replace(b"Length: 9", b"Length: 99999"),
        head.replace(b"Host: x", b"Host: x\r\nContent-Encoding: gzip"),
        head.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"),
        head.replace(b"Host: x", b"Host: x\r\ntraceparent: 00-%s-%s-01" % (b"a" * 32, b"b" * 16)),
        head.replace(b"Host: x", b"Host: x\r\nUpgrade: websocket\r\nConnection: upgrade"),
    ):
        assert not heads.parse(unusual).short, unusual


async def test_a_gate_beyond_its_rate_is_told_when_to_come_again(site):
    client = await site.connect()
    body = {"request_id": "same", "presentation": site.desk.code()}
    statuses = [(await client.ask(site.request(**body)))[0] for _ in range(60)]
    assert statuses == [200] * 60
    status, problem, head = await client.ask(site.request(**body))
    assert (status, problem["title"]) == (429, "Too many calls")
    wait_s = int(head.split(b"Retry-After: ")[1].split(b"\r\n")[0])
    assert wait_s > 900
    # By the other way too, before the body is read.
    client.writer.write(site.request(path="/v1/verifications/" + "0" * 32 + "/captures"))
    assert (await client.answer())[0] == 429


class Held(asyncio.Transport):
    """A transport whose other side sends much and reads little."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.reading = False


async def until(true) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


async def test_reading_stops_while_too_much_is_pipelined_and_goes_on_after(site):
    runner = web.AppRunner(site.handlers.application(Pages(("edge.web",), ("节点", "node"))))
    await runner.setup()
    connection = site.handlers.connections()(runner.server, 75.0)()
    transport = Held()
    connection.connection_made(transport)
    await asyncio.sleep(0)
    request = site.request()
    calls = short.HELD_BYTES_MAX // len(request) + 10
    for _ in range(calls):
        connection.data_received(request)
    assert not transport.reading
    await until(lambda: len(transport.sent) == calls)
    assert transport.reading
    # Who doesn't read its answers gets no more of them.
    connection.pause_writing()
    connection.data_received(request)
    await asyncio.sleep(0.02)
    assert len(transport.sent) == calls
    connection.resume_writing()
    await until(lambda: len(transport.sent) == calls + 1)
    connection.connection_lost(None)
    await runner.cleanup()


async def test_a_call_whose_client_hung_up_is_still_journalled(site):
    client = await site.connect()
    client.writer.write(site.request())
    await until(lambda: site.short == 1)
    client.writer.transport.abort()
    await until(lambda: site.desk.journal.size == 1)
    other = await site.connect()
    assert (await other.ask(site.request(presentation=site.desk.code(STEP + 1))))[0] == 200
