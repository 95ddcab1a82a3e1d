"""What a gate's JSON verification is answered with, from its bytes to the response's.

- Codes alone are judged with the others of their turn (edge.pipeline.together), without a task;
  whatever must wait for something gets one.
- Not here: who calls, and which heads come this way (edge.web.short).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import VerificationCall
from edge.pipeline.pace import GatePace
from edge.protocol.records import GateRecord
from edge.web.bodies import Fields, read_code, read_json
from edge.web.ports import Verifies
from edge.web.problems import translate, unknown_gate
from edge.web.raw import RawResponses
from edge.web.short import Respond


def call_of(gate: GateRecord, actor: str, fields: Fields, limits: Limits) -> VerificationCall:
    """Make the call of a body, whatever it came in; its deadline begins now."""
    texts = fields.texts
    return VerificationCall(
        gate=gate, scene=texts["scene"], request_id=texts["request_id"],
        presentation=texts.get("presentation"), code_image=fields.code_image,
        face_images=fields.face_images, challenge_id=texts.get("challenge_id"),
        deadline_s=time.monotonic() + limits.deadline_s, actor=actor,
    )


class Quickly:
    """Answers verifications the short way.

    Attributes:
        pace: How often each gate may call.
    """

    def __init__(
        self, verifier: Verifies, gates: Callable[[], Mapping[str, GateRecord]],
        metrics: NodeMetrics, limits: Limits,
    ) -> None:
        """Take what is asked."""
        self._verifier, self._gates = verifier, gates
        self._metrics, self._limits, self._raw = metrics, limits, RawResponses()
        self._answering: set[asyncio.Task[Outcome]] = set()
        self.pace = GatePace(
            limits.gate_rate_per_s, limits.gate_burst, limits.gate_rate_max_per_s,
            refused=metrics.refused)

    def quick(self, gate: GateRecord, body: bytes, respond: Respond) -> None:
        """`POST /v1/verifications` the short way: see `edge.web.short`."""
        try:
            self.pace.take(gate.gate_id, gate.rate_per_s)
            code = read_code(body)
            if code is None:
                answering = self._verifier.verify(
                    call_of(gate, "", read_json(body, self._limits), self._limits))
            else:
                call = VerificationCall(
                    gate=gate, scene=code.scene, request_id=code.request_id,
                    presentation=code.presentation, code_image=None, face_images=(),
                    challenge_id=code.challenge_id,
                    deadline_s=time.monotonic() + self._limits.deadline_s,
                )
                if self._verifier.take(call, partial(self._respond, respond)):
                    return
                answering = self._verifier.verify(call)
        except Exception as error:
            respond(self._problem(error))
            return
        task = asyncio.get_running_loop().create_task(answering)
        self._answering.add(task)
        task.add_done_callback(partial(self._answered, respond))

    def _answered(self, respond: Respond, task: "asyncio.Task[Outcome]") -> None:
        self._answering.discard(task)
        if task.cancelled():
            respond(None)
        else:
            error = task.exception()
            assert error is None or isinstance(error, Exception)
            self._respond(respond, error or task.result())

    def _respond(self, respond: Respond, found: Outcome | Exception) -> None:
        if isinstance(found, Outcome):
            respond(self._raw.answer(found.body, found.timings_ms))
        else:
            respond(self._problem(found))

    async def passed(self, gate_id: str, body: bytes) -> bytes:
        """Answer a call of a gate that a process beside this one authenticated."""
        gate = self._gates().get(gate_id)
        if gate is None:
            return self.stranger()
        responded: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self.quick(gate, body, responded.set_result)
        # Who waits may be ended: the answer is still told here.
        response = await asyncio.shield(responded)
        if response is None:
            raise asyncio.CancelledError
        return response

    def stranger(self) -> bytes:
        """Refuse whoever isn't a gate, the short way."""
        return self._problem(unknown_gate())

    def _problem(self, error: Exception) -> bytes:
        response = translate(error)
        self._metrics.problem(response.status)
        return self._raw.of(response)
