"""The HTTP surface: routes and handlers, each a few lines.

- A handler authenticates, reads its body, asks the pipeline, encodes.
- Nothing here decides anything.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import orjson
from aiohttp import web

from edge.config import Limits
from edge.metrics import CONTENT_TYPE, NodeMetrics
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import CaptureCall, VerificationCall
from edge.protocol.records import GateRecord, ScenePolicy
from edge.web.auth import authenticate
from edge.web.bodies import read_fields
from edge.web.openapi import Scenes, SceneShown, build_openapi
from edge.web.pages import SECURITY_HEADERS, status_page
from edge.web.problems import problems_middleware
from edge.web.status import NodeStatus


class Verifies(Protocol):
    """What the web needs of the pipeline."""

    async def verify(self, call: VerificationCall) -> Outcome:
        """Answer a verification."""
        ...

    async def capture(self, call: CaptureCall) -> Outcome:
        """Answer a capture."""
        ...

    def scenes(self, gate: GateRecord) -> list[ScenePolicy]:
        """Give the policies of a gate's scenes."""
        ...


class Server:
    """The node's handlers."""

    def __init__(
        self,
        *,
        verifier: Verifies,
        gates: Callable[[], Mapping[str, GateRecord]],
        status: Callable[[], NodeStatus],
        metrics: NodeMetrics,
        limits: Limits,
        version: str,
    ) -> None:
        """Take what the handlers ask."""
        self._verifier, self._gates, self._status = verifier, gates, status
        self._metrics, self._limits = metrics, limits
        self._encode = msgspec.json.Encoder().encode
        self._openapi = orjson.dumps(build_openapi(version))

    def application(self) -> web.Application:
        """Build the aiohttp application."""
        app = web.Application(
            middlewares=[problems_middleware(self._metrics)],
            client_max_size=self._limits.body_bytes_max,
        )
        app.add_routes([
            web.post("/v1/verifications", self.verifications),
            web.post("/v1/verifications/{id}/captures", self.captures),
            web.get("/v1/scenes", self.scenes),
            web.get("/v1/status", self.status),
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/openapi.json", self.openapi),
            web.get("/", self.page),
            web.get("/status", self.page),
        ])
        return app

    async def verifications(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications`."""
        gate = authenticate(request.headers.get("Authorization"), self._gates())
        fields = await read_fields(request, self._limits, capture=False)
        texts = fields.texts
        outcome = await self._verifier.verify(VerificationCall(
            gate=gate, scene=texts["scene"], request_id=texts["request_id"],
            presentation=texts.get("presentation"), code_image=fields.code_image,
            face_images=fields.face_images, challenge_id=texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s,
        ))
        return self._answer(outcome)

    async def captures(self, request: web.Request) -> web.Response:
        """`POST /v1/verifications/{id}/captures`."""
        gate = authenticate(request.headers.get("Authorization"), self._gates())
        fields = await read_fields(request, self._limits, capture=True)
        outcome = await self._verifier.capture(CaptureCall(
            gate=gate, verification_id=request.match_info["id"],
            request_id=fields.texts["request_id"], face_images=fields.face_images,
            challenge_id=fields.texts.get("challenge_id"),
            deadline_s=time.monotonic() + self._limits.deadline_s,
        ))
        return self._answer(outcome)

    async def scenes(self, request: web.Request) -> web.Response:
        """`GET /v1/scenes`."""
        gate = authenticate(request.headers.get("Authorization"), self._gates())
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
        authenticate(request.headers.get("Authorization"), self._gates())
        return self._json(self._encode(self._status()))

    async def livez(self, _: web.Request) -> web.Response:
        """`GET /livez`."""
        return web.Response(text="alive\n")

    async def readyz(self, _: web.Request) -> web.Response:
        """`GET /readyz`."""
        status = self._status()
        words = "ready" if status.ready else "\n".join(status.not_ready)
        return web.Response(text=words + "\n", status=200 if status.ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        """`GET /metrics`."""
        return web.Response(body=self._metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, _: web.Request) -> web.Response:
        """`GET /openapi.json`."""
        return self._json(self._openapi)

    async def page(self, _: web.Request) -> web.Response:
        """`GET /` and `/status`."""
        return web.Response(
            text=status_page(self._status()), content_type="text/html", headers=SECURITY_HEADERS
        )

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
