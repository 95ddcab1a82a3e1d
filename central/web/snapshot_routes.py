"""Snapshots over HTTP: the timestamp, the snapshot it names, its parts; making one.

- Parts are named by their digest and never change: they may be kept by any cache on the way, and
  fetched from any byte on (Range).
"""

from aiohttp import web

from central.identity import node_of_token
from central.store import Transaction
from central.web.common import PLATFORM, answer, bearer, packed, platform_for_admin

CACHED_S = 30 * 86_400


async def timestamp(request: web.Request) -> web.Response:
    """`GET /v1/timestamp`."""
    await _check_node(request)
    return packed(request.app[PLATFORM].snapshots.timestamp())


async def snapshot(request: web.Request) -> web.Response:
    """`GET /v1/snapshot`."""
    await _check_node(request)
    return packed(request.app[PLATFORM].snapshots.envelope())


async def part(request: web.Request) -> web.StreamResponse:
    """`GET /v1/snapshot/parts/{digest}`."""
    await _check_node(request)
    path = request.app[PLATFORM].snapshots.part(request.match_info["digest"])
    return web.FileResponse(path, headers={
        "Cache-Control": f"public, max-age={CACHED_S}, immutable",
        "Content-Type": "application/octet-stream"})


async def make(request: web.Request) -> web.Response:
    """`POST /v1/snapshots`: an administrator has the next one made."""
    return answer(await platform_for_admin(request).snapshots.make())


async def _check_node(request: web.Request) -> None:
    token = bearer(request)

    def known(tx: Transaction) -> None:
        node_of_token(tx, token)

    await request.app[PLATFORM].database.run(known)


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [
        web.get("/v1/timestamp", timestamp), web.get("/v1/snapshot", snapshot),
        web.get("/v1/snapshot/parts/{digest}", part), web.post("/v1/snapshots", make),
    ]
