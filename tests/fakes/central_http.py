"""The HTTP face of the central simulator: routes, bearer tokens, faults on the way out."""

import base64
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from edge.hotpath.checkpoint import Checkpoint
from edge.protocol.journal import JournalUpload

if TYPE_CHECKING:
    from tests.fakes.central_simulator import CentralSimulator, SimulatedNode

UPLOAD_BYTES_MAX = 8 * 1024 * 1024


def application(central: "CentralSimulator") -> web.Application:
    calls = _Calls(central)
    app = web.Application(client_max_size=UPLOAD_BYTES_MAX)
    app.router.add_post("/v1/nodes/enrol", calls.enrol)
    app.router.add_get("/v1/feed", calls.feed)
    app.router.add_get("/v1/keys", calls.keys)
    app.router.add_get("/v1/root", calls.root)
    app.router.add_get("/v1/time", calls.time)
    app.router.add_post("/v1/journal", calls.journal)
    app.router.add_post("/v1/journal/checkpoint", calls.checkpoint)
    return app


def problem(status: int, detail: str) -> web.Response:
    return web.json_response(
        {"status": status, "detail": detail}, status=status,
        content_type="application/problem+json")


class _Calls:
    def __init__(self, central: "CentralSimulator") -> None:
        self._central = central

    async def enrol(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        node = self._central.enrolled(body["code"], body["seal_public"])
        if node is None:
            return problem(403, "no such enrolment code, or it was used")
        forge = self._central.forge
        return web.json_response({
            "node_id": node.node_id, "token": node.token, "log": forge.log,
            "root": base64.b64encode(forge.roots[0]).decode(), "unix_s": self._central.now()})

    async def feed(self, request: web.Request) -> web.StreamResponse:
        self._node(request)
        cursor = int(request.query["cursor"])
        await self._central.wait_beyond(cursor, float(request.query["wait_s"]))
        return self._answer(request, self._central.batch(cursor))

    async def keys(self, request: web.Request) -> web.StreamResponse:
        return self._answer(request, self._central.delivery(self._node(request)))

    async def root(self, request: web.Request) -> web.StreamResponse:
        self._node(request)
        version = int(request.query["version"])
        roots = self._central.forge.roots
        if not 1 <= version <= len(roots):
            return problem(404, "there is no such root")
        return self._answer(request, roots[version - 1])

    async def time(self, request: web.Request) -> web.StreamResponse:
        self._node(request)
        return web.json_response({"unix_s": self._central.now() + self._central.clock_error_s})

    async def journal(self, request: web.Request) -> web.StreamResponse:
        node = self._node(request)
        upload = msgspec.msgpack.decode(await request.read(), type=JournalUpload)
        status, held = self._central.take_in(node, upload)
        if self._central.lose_answers:
            self._central.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"next": held}, status=status)

    async def checkpoint(self, request: web.Request) -> web.StreamResponse:
        node = self._node(request)
        point = msgspec.json.decode(await request.read(), type=Checkpoint)
        answer = self._central.countersigned(node, point)
        return web.Response(
            body=msgspec.json.encode(answer), content_type="application/json",
            status=200 if answer.countersignature is not None else 409)

    def _node(self, request: web.Request) -> "SimulatedNode":
        self._central.asked.append(request.path)
        node = self._central.node_of(request.headers.get("Authorization", ""))
        if node is None:
            raise web.HTTPUnauthorized(text="unknown node")
        return node

    def _answer(self, request: web.Request, honest: bytes) -> web.StreamResponse:
        said = honest
        if self._central.tamper is not None:
            said = self._central.tamper(request, honest)
        return web.Response(body=said, content_type="application/msgpack")
