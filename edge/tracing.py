"""Traces of verifications for OpenTelemetry, over OTLP/HTTP; loaded only where it is switched on.

- Made afterwards, from the times that are measured anyway: nothing is instrumented.
- Sampled by the verification's own id, at most so many a second; a gate that sends a W3C
  `traceparent` is followed, and its flag decides instead. With or without, the bound holds.
- Without such a header the trace's id is the verification's.
- Nothing of the holder: scene, gate, decision, reason and the verification's id.
- Spans wait in a bounded queue and leave in a thread of their own; what doesn't fit is dropped,
  and so is what the receiver doesn't take in time.
- Not here: waiting before the first stage (parsing of HTTP), which isn't measured.
"""

import asyncio
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from edge.protocol.journal import VerificationRecord

HEADER = "traceparent"
BATCH_SPANS_MAX = 512
EVERY_MS = 2_000.0
"""Between two batches."""
STOP_S = 3.0
"""How long stopping waits for the last batch."""


class Tracing:
    """Makes spans of answers.

    Attributes:
        follow: Middleware that takes note of a gate's `traceparent`.
    """

    def __init__(
        self, endpoint: str, *, ratio: float, per_s_max: int, waiting_max: int, timeout_s: float,
        version: str, instance: str,
    ) -> None:
        """Begin to send what will be seen.

        Args:
            endpoint: URL of the receiver's traces.
            ratio: Share of verifications that become traces.
            per_s_max: How many at most in a second.
            waiting_max: How many spans may wait.
            timeout_s: How long one batch may take.
            version: Of the program.
            instance: Which node this is.
        """
        self._below, self._per_s_max = int(ratio * 2**32), per_s_max
        self._second, self._taken = 0, 0
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource({"service.name": "kanhe-edge", "service.version": version,
                               "service.instance.id": instance}),
            shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(BatchSpanProcessor(
            OTLPSpanExporter(endpoint, timeout=timeout_s), max_queue_size=waiting_max,
            schedule_delay_millis=EVERY_MS,
            max_export_batch_size=min(BATCH_SPANS_MAX, waiting_max)))
        self._tracer = self._provider.get_tracer("kanhe", version)
        self._parent: ContextVar[Context | None] = ContextVar("kanhe-parent", default=None)
        self.follow = self._middleware()

    def saw(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Make a trace of an answer, if it is one that is sampled."""
        parent = self._parent.get()
        if parent is None:
            if int(record.verification_id[:8], 16) >= self._below:
                return
        elif not get_current_span(parent).get_span_context().trace_flags.sampled:
            return
        end_ns = time.time_ns()
        second = end_ns // 1_000_000_000
        if second != self._second:
            self._second, self._taken = second, 0
        if self._taken >= self._per_s_max:
            return
        self._taken += 1
        self._make(record, timings_ms, end_ns, parent)

    def _make(
        self, record: VerificationRecord, timings_ms: Mapping[str, float], end_ns: int,
        parent: Context | None,
    ) -> None:
        at_ns = end_ns - int(sum(timings_ms.values()) * 1e6)
        self._ids.trace_id = int(record.verification_id, 16)
        root = self._tracer.start_span(
            f"kanhe.{record.kind}", parent or Context(), SpanKind.SERVER, start_time=at_ns,
            attributes={
                "kanhe.verification_id": record.verification_id, "kanhe.scene": record.scene,
                "kanhe.gate_id": record.gate_id, "kanhe.decision": record.decision,
                "kanhe.reason": record.reason})
        inside = set_span_in_context(root, Context())
        for stage, ms in timings_ms.items():
            span = self._tracer.start_span(f"kanhe.{stage}", inside, start_time=at_ns)
            at_ns += int(ms * 1e6)
            span.end(at_ns)
        root.end(end_ns)

    async def stop(self) -> None:
        """Send what waits, within a bound: a receiver that is gone must not hold the node."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        await asyncio.get_running_loop().run_in_executor(None, last.join, STOP_S)

    def _middleware(self) -> Middleware:
        propagator = TraceContextTextMapPropagator()

        @web.middleware
        async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Answer within the caller's trace, if it sent a valid one."""
            header = request.headers.get(HEADER)
            if header is None:
                return await handler(request)
            parent = propagator.extract({HEADER: header}, Context())
            if not get_current_span(parent).get_span_context().is_valid:
                return await handler(request)
            # The next call of the same connection runs in the same context.
            token = self._parent.set(parent)
            try:
                return await handler(request)
            finally:
                self._parent.reset(token)

        return follow


class _Ids(RandomIdGenerator):
    """Gives a new trace the id that was set before."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        """Give the id of the verification that a span is made for."""
        return self.trace_id
