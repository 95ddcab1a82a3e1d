"""The HTTP surface: routes and handlers, each a few lines.

- A handler authenticates, reads its body, asks the pipeline, encodes.
- Nothing here decides anything.
"""

import time
from collections.abc import Callable, Iterable

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
)
from edge.pipeline.shift import ENTRIES_MAX
from edge.protocol.journal import VerificationRecord
from edge.ui.pages import Pages
from edge.web.bodies import read_fields, read_identification
from edge.web.callers import Caller, Gates
from edge.web.heads import Heads
from edge.web.openapi import Scenes, SceneShown, build_openapi
from edge.web.ports import Decides, Expects, Identifies, Looks, Verifies
from edge.web.problems import Problem, problems_middleware
from edge.web.quick import Quickly, call_of
from edge.web.raw import server_timing
from edge.web.shift import show_shift
from edge.web.short import connections
from edge.web.small_bodies import read_arrivals, read_challenge, read_decision, read_frame
from edge.web.status import KeptStatus


class Server(Quickly):
    """The node's handlers."""

    def __init__(
        self,
        *,
        verifier: Verifies,
        decider: Decides,
        looker: Looks,
        shift: Callable[[str, int], list[VerificationRecord]],
        callers: Gates,
        status: KeptStatus,
        metrics: NodeMetrics,
        limits: Limits,
        version: str,
        identifier: Identifies | None = None,
        expects: Expects | None = None,
        arrivals_max: int = 1,
    ) -> None:
        """Take what the handlers ask; what may be None has no route then."""
        super().__init__(verifier, callers.gates, metrics, limits)
        self._expects, self._arrivals_max = expects, arrivals_max
        self._identifier = identifier
        self._decider, self._looker = decider, looker
        self._shift, self._caller, self._status = shift, callers.caller, status
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

    async def verifications(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications`."""
        gate, actor = await self._admitted(request)
        fields = await read_fields(request, self._limits, capture=False)
        return self._answer(await self._verifier.verify(
            call_of(gate, actor, fields, self._limits)))

    async def _admitted(self, request: web.Request) -> Caller:
        """Give who calls, within the rate of its gate, before the body is read."""
        caller = await self._caller(request)
        self.pace.take(caller.gate.gate_id, caller.gate.rate_per_s)
        return caller

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
        gate, _ = await self._admitted(request)
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
        gate, _ = await self._admitted(request)
        text = request.query.get("limit", "30")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= ENTRIES_MAX:
            raise Problem(422, f"limit is 1 to {ENTRIES_MAX}")
        return self._json(self._encode(show_shift(self._shift(gate.gate_id, int(text)))))

    async def scenes(self, request: web.Request) -> web.Response:
        """`GET /v1/scenes`."""
        gate, _ = await self._admitted(request)
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
        await self._admitted(request)
        return self._json(self._status.body())

    async def livez(self, _: web.Request) -> web.Response:
        """`GET /livez`."""
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """`GET /readyz`."""
        status = self._status.now()
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

    def _json(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json",
                            headers={"Cache-Control": "no-store"})
