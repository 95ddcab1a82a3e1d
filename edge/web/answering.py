"""`POST /v1/verifications`: from a body to the pipeline, and back to whoever waits for the answer.

- A code alone is taken into the present turn without a task; everything else gets one.
- Whoever asked is told once, whatever happens.
- Not here: connections (edge.web.short), reading bodies (edge.web.bodies).
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


class Answering:
    """Answers verifications."""

    def __init__(
        self, *, verifier: Verifies, gates: Callable[[], Mapping[str, GateRecord]],
        pace: GatePace, metrics: NodeMetrics, limits: Limits,
    ) -> None:
        """Take what is asked; `pace` says how often each gate may call."""
        self._verifier, self._gates, self._pace = verifier, gates, pace
        self._metrics, self._limits, self._raw = metrics, limits, RawResponses()
        self._answering: set[asyncio.Task[Outcome]] = set()

    async def verify(self, gate: GateRecord, actor: str, fields: Fields) -> Outcome:
        """Answer a body that was read; raises as the pipeline."""
        texts = fields.texts
        return await self._verifier.verify(VerificationCall(
            gate=gate, scene=texts["scene"], request_id=texts["request_id"],
            presentation=texts.get("presentation"), code_image=fields.code_image,
            face_images=fields.face_images, challenge_id=texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s, actor=actor,
        ))

    def quick(self, gate: GateRecord, body: bytes, respond: Respond) -> None:
        """Answer the short way: see `edge.web.short`."""
        try:
            self._pace.take(gate.gate_id, gate.rate_per_s)
            code = read_code(body)
            if code is None:
                answering = self.verify(gate, "", read_json(body, self._limits))
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

    async def passed(self, gate_id: str, body: bytes) -> bytes:
        """Answer a call of a gate that a process beside this one authenticated."""
        gate = self._gates().get(gate_id)
        if gate is None:
            return self.stranger()
        responded: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self.quick(gate, body, responded.set_result)
        # Whoever waits here may be ended; the answer is told all the same.
        response = await asyncio.shield(responded)
        if response is None:
            raise asyncio.CancelledError
        return response

    def stranger(self) -> bytes:
        """Refuse whoever isn't a gate."""
        return self._problem(unknown_gate())

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

    def _problem(self, error: Exception) -> bytes:
        response = translate(error)
        self._metrics.problem(response.status)
        return self._raw.of(response)
