"""The HTTP surface: routes and handlers, each a few lines.

- A handler authenticates, reads its body, asks the pipeline, encodes.
- Nothing here decides anything.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
import orjson
from aiohttp import web

from edge.access.listening import Connections
from edge.config import Limits
from edge.metrics import NodeMetrics
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import (
    ArrivalsCall,
    CaptureCall,
    DecisionCall,
    IdentificationCall,
    VerificationCall,
)
from edge.pipeline.pace import GatePace
from edge.pipeline.shift import ENTRIES_MAX
from edge.protocol.journal import VerificationRecord
from edge.protocol.records import GateRecord
from edge.ui.pages import Pages
from edge.web.bodies import Fields, read_code, read_fields, read_identification, read_json
from edge.web.callers import Caller, Gates
from edge.web.heads import Heads
from edge.web.openapi import Scenes, SceneShown, build_openapi
from edge.web.ports import Decides, Expects, Identifies, Looks, Verifies
from edge.web.problems import Problem, problems_middleware, translate, unknown_gate
from edge.web.raw import RawResponses, server_timing
from edge.web.shift import show_shift
from edge.web.short import Respond, connections
from edge.web.small_bodies import read_arrivals, read_challenge, read_decision, read_frame
from edge.web.status import NodeStatus


class Server:
    """The node's handlers.

    Attributes:
        pace: How often each gate may call.
    """

    def __init__(
        self,
        *,
        verifier: Verifies,
        decider: Decides,
        looker: Looks,
        shift: Callable[[str, int], list[VerificationRecord]],
        callers: Gates,
        status: Callable[[], NodeStatus],
        metrics: NodeMetrics,
        limits: Limits,
        version: str,
        identifier: Identifies | None = None,
        expects: Expects | None = None,
        arrivals_max: int = 1,
    ) -> None:
        """Take what the handlers ask; what may be None has no route then."""
        self._expects, self._arrivals_max = expects, arrivals_max
        self._identifier = identifier
        self._verifier, self._decider, self._looker = verifier, decider, looker
        self._shift, self._caller, self._status = shift, callers.caller, status
        self._gates, self._raw = callers.gates, RawResponses()
        self._answering: set[asyncio.Task[Outcome]] = set()
        self.pace = GatePace(
            limits.gate_rate_per_s, limits.gate_burst, limits.gate_rate_max_per_s)
        self._metrics, self._limits = metrics, limits
        self._encode = msgspec.json.Encoder().encode
        self._openapi = orjson.dumps(build_openapi(version))

    def application(
        self, pages: Pages, routes: Iterable[web.AbstractRouteDef] = ()
    ) -> web.Application:
        """Build the aiohttp application, and that of the pages."""
        app = web.Application(
            middlewares=[problems_middleware(self._metrics, pages)],
            client_max_size=self._limits.body_bytes_max,
        )
        app.add_routes([
            web.post("/v1/verifications", self.verifications),
            web.get("/v1/verifications", self.shift),
            web.post("/v1/verifications/{id}/captures", self.captures),
            web.post("/v1/verifications/{id}/decision", self.decision),
            web.post("/v1/challenges", self.challenges),
            web.post("/v1/frames", self.frames),
            web.get("/v1/scenes", self.scenes),
            web.get("/v1/status", self.status),
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/openapi.json", self.openapi),
            *routes,
        ])
        if self._expects is not None:
            app.add_routes([web.post("/v1/prefetch", self.prefetch)])
        if self._identifier is not None:
            app.add_routes([web.post("/v1/identifications", self.identifications)])
        return app

    def connections(self) -> Connections:
        """Give what makes the node's connections, the short way before aiohttp's."""
        return connections(self, Heads(self._gates))

    def quick(self, gate: GateRecord, body: bytes, respond: Respond) -> None:
        """`POST /v1/verifications` the short way: see `edge.web.short`."""
        try:
            self.pace.take(gate.gate_id, gate.rate_per_s)
            code = read_code(body)
            if code is None:
                answering = self._verify(gate, "", read_json(body, self._limits))
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

    async def verifications(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications`."""
        gate, actor = await self._admitted(request)
        fields = await read_fields(request, self._limits, capture=False)
        return self._answer(await self._verify(gate, actor, fields))

    async def _admitted(self, request: web.Request) -> Caller:
        """Give who calls, within the rate of its gate, before the body is read."""
        caller = await self._caller(request)
        self.pace.take(caller.gate.gate_id, caller.gate.rate_per_s)
        return caller

    async def _verify(self, gate: GateRecord, actor: str, fields: Fields) -> Outcome:
        texts = fields.texts
        return await self._verifier.verify(VerificationCall(
            gate=gate, scene=texts["scene"], request_id=texts["request_id"],
            presentation=texts.get("presentation"), code_image=fields.code_image,
            face_images=fields.face_images, challenge_id=texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s, actor=actor,
        ))

    async def captures(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications/{id}/captures`."""
        gate, actor = await self._admitted(request)
        fields = await read_fields(request, self._limits, capture=True)
        outcome = await self._verifier.capture(CaptureCall(
            gate=gate, verification_id=request.match_info["id"],
            request_id=fields.texts["request_id"], face_images=fields.face_images,
            challenge_id=fields.texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s, actor=actor,
        ))
        return self._answer(outcome)

    async def identifications(self, request: web.Request) -> web.Response:
        """`POST /v1/identifications`."""
        assert self._identifier is not None
        gate, actor = await self._admitted(request)
        fields = await read_identification(request, self._limits)
        return self._answer(await self._identifier.identify(IdentificationCall(
            gate=gate, scene=fields.texts["scene"], request_id=fields.texts["request_id"],
            face_images=fields.face_images, actor=actor,
            deadline_s=time.monotonic() + self._limits.deadline_s,
        )))

    async def prefetch(self, request: web.Request) -> web.Response:
        """`POST /v1/prefetch`: who is expected at this gate."""
        assert self._expects is not None
        gate, actor = await self._admitted(request)
        body = await read_arrivals(request, self._limits, self._arrivals_max)
        return self._json(self._encode(await self._expects.fetch(ArrivalsCall(
            gate=gate, scene=body.scene, numbers=body.numbers, until_s=body.until_s, actor=actor,
            deadline_s=time.monotonic() + self._limits.deadline_s,
        ))))

    async def decision(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications/{id}/decision`."""
        gate, actor = await self._admitted(request)
        body = await read_decision(request, self._limits)
        if not actor:
            # A device says who decided; the record tells it from somebody who signed in.
            if not body.operator:
                raise Problem(422, "operator is required: who decided")
            actor = f"{body.operator} (said by gate {gate.gate_id})"
        return self._answer(await self._decider.decide(DecisionCall(
            gate=gate, verification_id=request.match_info["id"], request_id=body.request_id,
            accept=body.decision == "accept", note=body.reason, actor=actor,
        )))

    async def challenges(self, request: web.Request) -> web.Response:
        """`POST /v1/challenges`."""
        gate, _ = await self._caller(request)
        body = await read_challenge(request, self._limits)
        return self._json(self._encode(self._verifier.challenge(gate, body.scene)))

    async def frames(self, request: web.Request) -> web.Response:
        """`POST /v1/frames?want=code|face`."""
        owner = (await self._admitted(request)).gate.gate_id
        image = await read_frame(request, self._limits)
        deadline_s = time.monotonic() + self._limits.deadline_s
        want = request.query.get("want", "code")
        if want == "code":
            code = await self._looker.look_for_code(image, deadline_s, owner)
            return self._json(self._encode(code))
        if want == "face":
            face = await self._looker.look_for_face(image, deadline_s, owner)
            return self._json(self._encode(face))
        raise Problem(422, "want is code or face")

    async def shift(self, request: web.Request) -> web.Response:
        """`GET /v1/verifications`: the last answers of this gate, without names."""
        gate, _ = await self._caller(request)
        text = request.query.get("limit", "30")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= ENTRIES_MAX:
            raise Problem(422, f"limit is 1 to {ENTRIES_MAX}")
        return self._json(self._encode(show_shift(self._shift(gate.gate_id, int(text)))))

    async def scenes(self, request: web.Request) -> web.Response:
        """`GET /v1/scenes`."""
        gate, _ = await self._caller(request)
        shown = tuple(
            SceneShown(
                policy.scene, policy.version, {"zh": policy.title.zh, "en": policy.title.en},
                policy.accepts, policy.face, policy.fmr_max,
                tuple(item.field for item in policy.disclose),
            )
            for policy in self._verifier.scenes(gate)
        )
        return self._json(self._encode(Scenes(shown)))

    async def status(self, request: web.Request) -> web.Response:
        """`GET /v1/status`."""
        await self._caller(request)
        return self._json(self._encode(self._status()))

    async def livez(self, _: web.Request) -> web.Response:
        """`GET /livez`."""
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """`GET /readyz`."""
        status = self._status()
        words = "ready" if status.ready else "\n".join(status.not_ready)
        return web.Response(text=words + "\n", status=200 if status.ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """`GET /metrics`."""
        body, kind = self._metrics.page(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    async def openapi(self, _: web.Request) -> web.Response:
        """`GET /openapi.json`."""
        return self._json(self._openapi)

    def _answer(self, outcome: Outcome) -> web.Response:
        response = self._json(outcome.body)
        if outcome.timings_ms:
            response.headers["Server-Timing"] = server_timing(outcome.timings_ms)
        return response

    def _problem(self, error: Exception) -> bytes:
        response = translate(error)
        self._metrics.problem(response.status)
        return self._raw.of(response)

    def _json(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json",
                            headers={"Cache-Control": "no-store"})
