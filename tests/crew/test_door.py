"""A worker's connections: short calls in order, everything else carried to the keeper unchanged."""

import asyncio
import hashlib

import pytest

from edge.crew import door as door_room
from edge.crew.door import HELD_BYTES_MAX, PATIENCE_S, Doors
from edge.crew.words import Frames, Passed, decode_to_keeper
from edge.protocol.records import GateRecord
from edge.web.heads import Heads

SECRET = bytes(32)
TOKEN = "g1." + "A" * 43
GATES = {"g1": GateRecord(
    gate_id="g1", secret_hash=hashlib.sha256(SECRET).digest(), scenes=("code",))}


def request(body: bytes, path: str = "/v1/verifications", token: str = TOKEN) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body


class House:
    """Doors, a handler that echoes, and a keeper that answers what is carried to it."""

    async def start(self) -> "House":
        self.bodies, self.clients, self.carried = [], [], b""
        self.hold = asyncio.Event()
        self.hold.set()
        loop = asyncio.get_running_loop()
        self._keeper = await asyncio.start_server(self._keep, "127.0.0.1", 0)
        keeper_port = self._keeper.sockets[0].getsockname()[1]
        self.doors = Doors(
            self._quick, Heads(lambda: GATES),
            lambda made: loop.create_connection(made, "127.0.0.1", keeper_port))
        self._server = await loop.create_server(self.doors.door, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def _quick(self, gate, body, respond):
        assert gate.gate_id == "g1"
        self.bodies.append(body)
        if self.hold.is_set():
            respond(b"<" + body + b">")
            return

        async def later():
            await self.hold.wait()
            respond(b"<" + body + b">")

        self.late = asyncio.ensure_future(later())

    async def _keep(self, reader, writer):
        frames, first = Frames(), None
        while data := await reader.read(65_536):
            if first is None:
                for body in frames.feed(data):
                    first = decode_to_keeper(body)
                    break
                if first is None:
                    continue
                assert isinstance(first, Passed)
                self.clients.append((first.host, first.port))
                data = frames.rest()
            self.carried += data
            if b"quit" in data:
                writer.write(b"bye")
                break
            writer.write(b"[" + str(len(data)).encode() + b"]")
        writer.close()

    def close(self) -> None:
        self._server.close()
        self._keeper.close()


@pytest.fixture
async def house():
    house = await House().start()
    yield house
    house.close()


async def opened(house):
    return await asyncio.open_connection("127.0.0.1", house.port)


async def heard(reader, wanted: bytes):
    assert await asyncio.wait_for(reader.readexactly(len(wanted)), 5.0) == wanted


async def test_short_calls_are_answered_in_order_however_they_are_cut(house):
    reader, writer = await opened(house)
    data = b"".join(request(b'{"n": %d}' % number) for number in range(20))
    for at in range(0, len(data), 37):
        writer.write(data[at:at + 37])
        if at % 5 == 0:
            await asyncio.sleep(0)
    await heard(reader, b"".join(b'<{"n": %d}>' % number for number in range(20)))
    assert house.carried == b""


async def test_anything_else_is_carried_from_that_request_on_and_answers_come_back(house):
    reader, writer = await opened(house)
    other = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(request(b"{1}") + other)
    await heard(reader, b"<{1}>[%d]" % len(other))
    # From here on even a short call is the keeper's: it alone knows where the next begins.
    writer.write(request(b"{2}"))
    await heard(reader, b"[%d]" % len(request(b"{2}")))
    assert house.carried == other + request(b"{2}")
    assert house.bodies == [b"{1}"]
    assert house.clients == [writer.get_extra_info("sockname")]
    writer.write(b"quit")
    assert await reader.read() == b"bye"


@pytest.mark.parametrize("first", [
    request(b"{}", token="g1." + "B" * 43), request(b"{}", path="/v1/frames"),
    b"\x16\x03\x01" + bytes(200) + b"\r\n\r\n",
    request(b"{}").replace(b"\r\n", b"\n") + b"\r\n\r\n",
    b"POST /v1/verifications HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
], ids=["stranger", "another path", "no HTTP", "bare line feeds", "chunked"])
async def test_what_isnt_plainly_a_gates_call_is_the_keepers_byte_for_byte(house, first):
    reader, writer = await opened(house)
    writer.write(first)
    await heard(reader, b"[%d]" % len(first))
    assert house.carried == first
    assert house.bodies == []
    writer.close()


async def test_a_slow_request_is_the_keepers_to_wait_for(house):
    reader, writer = await opened(house)
    whole = request(b'{"slow": 1}')
    writer.write(whole[:-3])
    await asyncio.sleep(PATIENCE_S / 3)
    assert house.carried == b""
    await heard(reader, b"[%d]" % len(whole[:-3]))
    writer.write(whole[-3:])
    await heard(reader, b"[3]")
    assert house.carried == whole


async def test_a_call_that_is_whole_in_time_isnt(house, monkeypatch):
    monkeypatch.setattr(door_room, "PATIENCE_S", 1.0)  # a machine may stand still for a moment
    reader, writer = await opened(house)
    whole = request(b'{"slow": 1}')
    for at in range(0, len(whole), 60):
        writer.write(whole[at:at + 60])
        await asyncio.sleep(0.01)
    await heard(reader, b'<{"slow": 1}>')
    await asyncio.sleep(1.5)
    assert house.carried == b""


async def test_what_is_pipelined_is_bounded_and_nothing_of_it_is_lost(house):
    house.hold.clear()
    reader, writer = await opened(house)
    body = b"{" + b"x" * 4_000 + b"}"
    count = 12 * HELD_BYTES_MAX // len(body)
    writer.write(request(body) * count)
    while not house.bodies:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    (door,) = house.doors.open
    assert len(door._held) < 8 * HELD_BYTES_MAX
    assert len(house.bodies) == 1
    house.hold.set()
    for _ in range(count):
        await heard(reader, b"<" + body + b">")


async def test_a_large_upload_and_answer_are_carried_whole(house):
    reader, writer = await opened(house)
    head = b"POST /v1/frames HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n"
    payload = head + bytes(range(256)) * 20_000
    writer.write(payload + b"quit")
    answer = await asyncio.wait_for(reader.read(), 10.0)
    assert answer.endswith(b"bye")
    assert house.carried == payload + b"quit"


async def test_draining_answers_what_is_under_way_and_closes_the_rest(house):
    house.hold.clear()
    idle, _ = await opened(house)
    reader, writer = await opened(house)
    writer.write(request(b"{1}"))
    while not house.bodies:
        await asyncio.sleep(0.01)
    draining = asyncio.create_task(house.doors.drain(5.0))
    assert await idle.read() == b""
    assert not draining.done()
    house.hold.set()
    assert await reader.read() == b"<{1}>"
    await draining


async def test_an_unused_connection_is_closed_after_its_time(house):
    reader, writer = await opened(house)
    writer.write(request(b"{1}"))
    await heard(reader, b"<{1}>")
    now = asyncio.get_running_loop().time()
    house.doors.close_idle(now + 70)
    await asyncio.sleep(0.05)
    assert not reader.at_eof()
    house.doors.close_idle(now + 80)
    assert await reader.read() == b""
