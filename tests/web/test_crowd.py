"""Crowds of gates and slow senders over real HTTP: the node stays within its bounds and serves."""

import asyncio
import base64
import contextlib
import hashlib
import json
import resource
import time

import msgspec
import pytest

from edge.access import listening
from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.tally import GATES_MAX
from edge.ui.pages import Pages
from edge.web.callers import Gates
from edge.web.heads import KEPT_MAX
from edge.web.server import Server
from tests.pipeline.desk import GATE, Desk
from tests.web.serving import Served

GATES = 1_000
SLOW = 200
PATH = "/v1/verifications"
LIMITS = Limits(body_s_max=0.5)


def secret_of(number: int) -> bytes:
    return hashlib.sha256(b"gate %d" % number).digest()


def token_of(number: int) -> str:
    secret = base64.urlsafe_b64encode(secret_of(number)).decode().rstrip("=")
    return f"gate{number}.{secret}"


class Site:
    """A server with a thousand gates, whose answers are counted as the node's are."""

    def __init__(self, folder) -> None:
        self.metrics = NodeMetrics("test", lambda: {"code", "face"})
        self.desk = Desk(folder, self.metrics.tally)
        self.gates = {
            f"gate{n}": msgspec.structs.replace(
                GATE, gate_id=f"gate{n}", secret_hash=hashlib.sha256(secret_of(n)).digest())
            for n in range(GATES)}
        handlers = Server(
            verifier=self.desk.verifier, decider=None, looker=None, shift=None,
            callers=Gates(lambda: self.gates), status=None, metrics=self.metrics, limits=LIMITS,
            version="test")
        self.app = handlers.application(Pages(("edge.web",), ("节点", "node")))
        self.connections = handlers.connections()

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    def request(self, number: int, length: int | None = None) -> bytes:
        body = json.dumps({"scene": "code", "request_id": f"q{next(self.desk.requests)}",
                           "presentation": self.desk.code()}).encode()
        return (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {token_of(number)}\r\n"
                f"Content-Length: {length or len(body)}\r\n\r\n").encode() + body

    async def ask(self, reader, writer, number: int) -> tuple[int, dict]:
        writer.write(self.request(number))
        return await answer_of(reader)


async def answer_of(reader) -> tuple[int, dict]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    return int(head.split()[1]), json.loads(body)


@pytest.fixture
async def site(tmp_path, monkeypatch, request):
    # What a connection may take for the head of its next call.
    monkeypatch.setattr(listening, "KEEPALIVE_S", getattr(request, "param", 75.0))
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * GATES + 500
    if files < wanted:
        if most < wanted:
            pytest.skip(f"needs {wanted} open files, {most} are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    site = Site(tmp_path)
    site.server = await Served(site.app, site.connections).start()
    yield site
    await site.server.close()
    site.desk.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


async def test_a_thousand_gates_at_once_are_all_answered(site):
    conns = await asyncio.gather(*(site.connect() for _ in range(GATES)))
    for _ in range(2):
        answers = await asyncio.gather(*(
            site.ask(reader, writer, number) for number, (reader, writer) in enumerate(conns)))
        assert {status for status, _ in answers} == {200}
        assert {answer["reason"] for _, answer in answers} <= {"ok", "presentation_replayed"}
    # One code was accepted once, whoever showed it and how many at a time.
    reasons = [series.count for (_, _, reason), series in site.metrics.tally.answers.items()
               if reason == "ok"]
    assert reasons == [1]
    assert site.desk.journal.size == 2 * GATES
    assert len(site.metrics.tally.gates) == GATES_MAX + 1
    for _, writer in conns:
        writer.close()
    assert GATES < KEPT_MAX


@pytest.mark.parametrize("site,what", [(2.0, "head"), (75.0, "body")], indirect=["site"])
async def test_slow_senders_are_ended_and_nobody_waits_for_them(site, what):
    whole = site.request(1, length=400)
    sent = whole[:40] if what == "head" else whole[:whole.index(b"\r\n\r\n") + 5]
    slow = await asyncio.gather(*(site.connect() for _ in range(SLOW)))
    for _, writer in slow:
        writer.write(sent)
    dripping = asyncio.create_task(drip(slow))
    reader, writer = await site.connect()
    waits = []
    for number in range(20):
        began = time.monotonic()
        assert (await site.ask(reader, writer, number))[0] == 200
        waits.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    assert sorted(waits)[10] < 1.0
    if what == "body":  # told so, within its bound
        statuses = [int((await asyncio.wait_for(sent.readline(), 20)).split()[1])
                    for sent, _ in slow]
        assert set(statuses) == {408}
    else:  # closed, though it never fell silent
        ends = await asyncio.gather(*(
            asyncio.wait_for(sent.read(), 20) for sent, _ in slow), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionResetError) for end in ends), ends
    dripping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dripping
    for _, sender in (*slow, (reader, writer)):
        sender.close()


async def drip(senders) -> None:
    """Send a byte of each now and then, for ever."""
    while True:
        await asyncio.sleep(0.1)
        for _, writer in senders:
            if not writer.is_closing():
                writer.write(b"x")
