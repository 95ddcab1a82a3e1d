"""The HTTP surface: routes and handlers, each a few lines.

- A handler authenticates, reads its body, asks the pipeline, encodes.
- Nothing here decides anything.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
import orjson
from aiohttp import web

from edge.config import Limits
from edge.hotpath.reasons import Reason
from edge.hotpath.words import message_for
from edge.metrics import NodeMetrics
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import CaptureCall, DecisionCall, IdentificationCall, VerificationCall
from edge.pipeline.challenges import ChallengeShown
from edge.pipeline.looks import CodeLook, FaceLook
from edge.pipeline.shift import ENTRIES_MAX
from edge.protocol.journal import VerificationRecord
from edge.protocol.records import GateRecord, ScenePolicy, Words
from edge.ui.pages import Pages
from edge.web.bodies import (
    read_challenge,
    read_decision,
    read_fields,
    read_frame,
    read_identification,
)
from edge.web.callers import Gates
from edge.web.openapi import Scenes, SceneShown, build_openapi
from edge.web.problems import Problem, problems_middleware
from edge.web.status import NodeStatus


class Verifies(Protocol):
    """What the web needs of the pipeline."""

    async def verify(self, call: VerificationCall) -> Outcome:
        """Answer a verification."""
        ...

    async def capture(self, call: CaptureCall) -> Outcome:
        """Answer a capture."""
        ...

    def challenge(self, gate: GateRecord, scene: str) -> ChallengeShown:
        """Give a challenge."""
        ...

    def scenes(self, gate: GateRecord) -> list[ScenePolicy]:
        """Give the policies of a gate's scenes."""
        ...


class Decides(Protocol):
    """What the web needs of decisions."""

    async def decide(self, call: DecisionCall) -> Outcome:
        """Answer a decision."""
        ...


class Identifies(Protocol):
    """What the web needs of identification."""

    async def identify(self, call: IdentificationCall) -> Outcome:
        """Answer an identification."""
        ...


class Looks(Protocol):
    """What the web needs for looking at frames."""

    async def look_for_code(self, image: bytes, deadline_s: float) -> CodeLook:
        """Read the codes of one frame."""
        ...

    async def look_for_face(self, image: bytes, deadline_s: float) -> FaceLook:
        """Judge whether one frame's face can be compared."""
        ...


class ShiftShown(msgspec.Struct, frozen=True):
    """The last answers of a gate."""

    verifications: tuple["ShiftRow", ...]


class ShiftRow(msgspec.Struct, frozen=True):
    """One answer with its words, as the list of a shift shows it."""

    verification_id: str
    kind: str
    at_ms: int
    scene: str
    decision: str
    reason: str
    credential_type: str
    actor: str
    message: Words


class Server:
    """The node's handlers."""

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
    ) -> None:
        """Take what the handlers ask; without an identifier its route isn't there."""
        self._identifier = identifier
        self._verifier, self._decider, self._looker = verifier, decider, looker
        self._shift, self._caller, self._status = shift, callers.caller, status
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
        if self._identifier is not None:
            app.add_routes([web.post("/v1/identifications", self.identifications)])
        return app

    async def verifications(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications`."""
        gate, actor = await self._caller(request)
        fields = await read_fields(request, self._limits, capture=False)
        texts = fields.texts
        outcome = await self._verifier.verify(VerificationCall(
            gate=gate, scene=texts["scene"], request_id=texts["request_id"],
            presentation=texts.get("presentation"), code_image=fields.code_image,
            face_images=fields.face_images, challenge_id=texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s, actor=actor,
        ))
        return self._answer(outcome)

    async def captures(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications/{id}/captures`."""
        gate, actor = await self._caller(request)
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
        gate, actor = await self._caller(request)
        fields = await read_identification(request, self._limits)
        return self._answer(await self._identifier.identify(IdentificationCall(
            gate=gate, scene=fields.texts["scene"], request_id=fields.texts["request_id"],
            face_images=fields.face_images, actor=actor,
            deadline_s=time.monotonic() + self._limits.deadline_s,
        )))

    async def decision(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications/{id}/decision`."""
        gate, actor = await self._caller(request)
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
        await self._caller(request)
        image = await read_frame(request, self._limits)
        deadline_s = time.monotonic() + self._limits.deadline_s
        want = request.query.get("want", "code")
        if want == "code":
            return self._json(self._encode(await self._looker.look_for_code(image, deadline_s)))
        if want == "face":
            return self._json(self._encode(await self._looker.look_for_face(image, deadline_s)))
        raise Problem(422, "want is code or face")

    async def shift(self, request: web.Request) -> web.Response:
        """`GET /v1/verifications`: the last answers of this gate, without names."""
        gate, _ = await self._caller(request)
        text = request.query.get("limit", "30")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= ENTRIES_MAX:
            raise Problem(422, f"limit is 1 to {ENTRIES_MAX}")
        rows = tuple(
            ShiftRow(record.verification_id, record.kind, record.at_ms, record.scene,
                     record.decision, record.reason, record.credential_type, record.actor,
                     message_for(Reason(record.reason), record.why))
            for record in self._shift(gate.gate_id, int(text))
        )
        return self._json(self._encode(ShiftShown(rows)))

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
        response = self._json(self._encode(outcome.answer))
        if outcome.timings_ms:
            response.headers["Server-Timing"] = ", ".join(
                f"{stage};dur={ms:.2f}" for stage, ms in outcome.timings_ms.items()
            )
        return response

    def _json(self, body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/json",
                            headers={"Cache-Control": "no-store"})
