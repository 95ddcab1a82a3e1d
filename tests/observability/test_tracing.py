"""Traces: what a real OTLP receiver gets, how little when it is gone, and nothing when off."""

import asyncio
import hashlib
import logging
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from edge.config import Limits, TracingConfig
from edge.metrics import NodeMetrics
from edge.parts import open_tracing
from edge.tracing import STOP_S
from edge.ui.pages import Pages
from edge.web.callers import Gates
from edge.web.server import Server
from tests.fakes.records import answer
from tests.pipeline.desk import GATE, Desk
from tests.web.serving import Served
from tests.web.test_bad_input import SECRET, TOKEN

ROOT = Path(__file__).resolve().parents[2]
STAGES = {"authenticate": 0.2, "cache": 0.1, "journal": 1.5}
LATE_S, SILENT_S = 5.0, 60.0
"""What a busy machine may add to a time; a receiver that waits for much longer than that."""
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Receiver:
    """An OTLP/HTTP receiver on loopback."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def traces(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        self.bodies.append(await request.read())
        return web.Response(body=ExportTraceServiceResponse().SerializeToString(),
                            content_type="application/x-protobuf")

    @property
    def spans(self):
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resource = attributes(resource.resource)
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    @property
    def roots(self):
        return [span for span in self.spans if span.kind == span.SPAN_KIND_SERVER]


def attributes(item) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in item.attributes}


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    app = web.Application()
    app.add_routes([web.post("/v1/traces", receiver.traces)])
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/v1/traces"))
        yield receiver


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


def tracing(url: str, **differently):
    config = TracingConfig(otlp_endpoint=url, **{"ratio": 1.0, **differently})
    found = open_tracing(config, "1.2", "log-of-the-node")
    assert found is not None
    return found


async def test_a_verification_is_a_trace_with_its_stages_one_after_the_other(receiver):
    made, record = tracing(receiver.url), answer("no_match")
    made.saw(record, STAGES)
    await made.stop()
    (root,), spans = receiver.roots, receiver.spans
    assert receiver.resource == {
        "service.name": "kanhe-edge", "service.version": "1.2",
        "service.instance.id": "log-of-the-node"}
    assert root.trace_id.hex() == record.verification_id
    assert root.parent_span_id == b""
    assert attributes(root) == {
        "kanhe.verification_id": record.verification_id, "kanhe.scene": "hotel.checkin",
        "kanhe.gate_id": "g1", "kanhe.decision": "reject", "kanhe.reason": "no_match"}
    stages = sorted((span for span in spans if span is not root and span.parent_span_id),
                    key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in stages] == ["kanhe.authenticate", "kanhe.cache", "kanhe.journal"]
    assert {span.parent_span_id for span in stages} == {root.span_id}
    assert {span.trace_id for span in stages} == {root.trace_id}
    at = root.start_time_unix_nano
    for span, ms in zip(stages, STAGES.values(), strict=True):
        assert span.start_time_unix_nano == pytest.approx(at, abs=10)
        at = span.end_time_unix_nano
        assert at - span.start_time_unix_nano == pytest.approx(ms * 1e6, abs=10)
    assert at == pytest.approx(root.end_time_unix_nano, abs=10)
    assert abs(time.time() - root.end_time_unix_nano / 1e9) < 30


async def test_nothing_of_the_holder_leaves(receiver):
    made, credential = tracing(receiver.url), bytes(range(100, 116))
    record = answer(credential_id=credential, body_digest=bytes([0xEE] * 16),
                    request_digest=bytes([0xDD] * 16), actor="an operator's name")
    made.saw(record, STAGES)
    await made.stop()
    (body,) = receiver.bodies
    for secret in (credential, credential.hex().encode(), b"resident_id", b"operator",
                   bytes([0xEE] * 16), bytes([0xDD] * 16)):
        assert secret not in body


@pytest.mark.parametrize("ratio,sent", [(0.0, 0), (0.25, 2), (0.5, 3), (1.0, 4)])
async def test_the_verifications_own_ids_decide_which_are_sampled(receiver, ratio, sent):
    made = tracing(receiver.url, ratio=ratio)
    for first in ("00000000", "3fffffff", "40000000", "ffffffff"):
        made.saw(answer(verification_id=first.ljust(32, "1")), STAGES)
    await made.stop()
    assert len(receiver.roots) == sent


async def test_no_more_than_the_bound_become_traces_in_a_second(receiver):
    made = tracing(receiver.url, traces_max_per_s=3)
    began = time.time()
    for _ in range(200):
        made.saw(answer(), STAGES)
    seconds = int(time.time()) - int(began) + 1
    await made.stop()
    assert 3 <= len(receiver.roots) <= 3 * seconds


async def test_a_receiver_that_is_gone_costs_no_answer_and_holds_nothing_up(caplog):
    caplog.set_level(logging.WARNING)
    made = tracing("http://127.0.0.1:9/v1/traces", traces_max_per_s=1_000,
                   waiting_spans_max=64, batch_s_max=0.2)
    began = time.process_time()
    for _ in range(300):
        made.saw(answer(), STAGES)
    assert time.process_time() - began < 2.0
    stopping = time.monotonic()
    await made.stop()
    assert time.monotonic() - stopping < STOP_S + LATE_S
    # It says so, and not once a span.
    assert 1 <= len(caplog.records) < 30


async def test_a_receiver_that_never_answers_holds_neither_answers_nor_the_end():
    async def silent(reader, writer):
        await asyncio.sleep(SILENT_S)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = tracing(f"http://127.0.0.1:{port}/v1/traces", batch_s_max=SILENT_S)
    made.saw(answer(), STAGES)
    stopping = time.monotonic()
    await made.stop()
    assert time.monotonic() - stopping < STOP_S + LATE_S
    server.close()


class Both:
    """The metrics' observer and the traces', as `edge.app` has them."""

    def __init__(self, *observers) -> None:
        self._observers = observers

    def observed(self, record, timings_ms) -> None:
        for observer in self._observers:
            observer(record, timings_ms)

    def observed_all(self, records, timings_ms) -> None:
        for record in records:
            self.observed(record, timings_ms)


@pytest.fixture
async def site(tmp_path, receiver):
    """A server with both ways, whose answers become traces only where a gate asks for it."""
    made, metrics = tracing(receiver.url, ratio=0.0), NodeMetrics("test")
    desk = Desk(tmp_path, Both(metrics.observed, made.saw))
    gates = {"g1": msgspec.structs.replace(GATE, secret_hash=hashlib.sha256(SECRET).digest())}
    handlers = Server(
        verifier=desk.verifier, decider=None, looker=None, shift=None,
        callers=Gates(lambda: gates), status=None, metrics=metrics, limits=Limits(),
        version="test")
    app = handlers.application(Pages(("edge.web",), ("节点", "node")))
    app.middlewares.append(made.follow)
    server = await Served(app, handlers.connections()).start()
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post(header: str | None) -> dict:
            body = {"scene": "code", "request_id": f"q{next(desk.requests)}",
                    "presentation": desk.code()}
            headers = {"Authorization": f"Bearer {TOKEN}"}
            if header is not None:
                headers["traceparent"] = header
            async with session.post(server.make_url("/v1/verifications"), json=body,
                                    headers=headers) as response:
                assert response.status == 200
                return await response.json()

        yield post, made
    await server.close()
    desk.close()


async def test_a_gates_traceparent_is_followed_and_only_for_its_own_call(site, receiver):
    post, made = site
    followed = await post(f"00-{TRACE}-{SPAN}-01")
    await post(None)  # the same connection
    await post(f"00-{TRACE}-{SPAN}-00")  # not sampled, says the gate
    for strange in ("", "nonsense", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01",
                    "x" * 4000):
        await post(strange)
    await made.stop()
    (root,) = receiver.roots
    assert root.trace_id.hex() == TRACE
    assert root.parent_span_id.hex() == SPAN
    assert attributes(root)["kanhe.verification_id"] == followed["verification_id"]
    assert {span.trace_id.hex() for span in receiver.spans} == {TRACE}


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, text=True,
                          capture_output=True, check=False, timeout=60)


def test_nothing_of_it_is_loaded_while_it_is_off():
    done = python("""
        import sys
        import edge.app
        import kanhe.commands.edge
        from edge.config import TracingConfig, load_config
        from edge.parts import open_tracing
        assert load_config(None, {}).tracing == TracingConfig()
        assert open_tracing(TracingConfig(), "1", "n") is None
        print([name for name in sys.modules if name.startswith("opentelemetry")
               or name == "edge.tracing"])
    """)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_without_its_packages_it_says_what_to_install(tmp_path):
    done = python(f"""
        import sys
        sys.modules["opentelemetry"] = None  # as if it weren't installed
        from edge.config import TracingConfig, EdgeConfig, check_edge
        from edge.errors import ConfigError
        from edge.parts import open_tracing
        from pathlib import Path
        on = TracingConfig(otlp_endpoint="http://127.0.0.1:4318/v1/traces")
        try:
            open_tracing(on, "1", "n")
        except ConfigError as error:
            print(error)
        for found in check_edge(EdgeConfig(tracing=on, data_dir=Path({str(tmp_path)!r}))):
            if found.key.startswith("tracing"):
                print(found.kind, found.words)
    """)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.endswith("install kanhe[tracing]")
    assert second.startswith("error needs packages")
