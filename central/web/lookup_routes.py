"""Looking up, for nodes that hold only what they were told of."""

import msgspec
from aiohttp import web

from central import feed, lookups
from central.errors import Invalid
from central.identity import node_of_token
from central.store import Transaction
from central.web.common import PLATFORM, bearer, packed
from edge.protocol.lookup import LookedUp, LookupRequest


async def look_up(request: web.Request) -> web.Response:
    """`POST /v1/lookup`."""
    platform, token = request.app[PLATFORM], bearer(request)
    raw = await request.read()
    try:
        asked = msgspec.json.decode(raw, type=LookupRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(str(error)) from error

    def work(tx: Transaction) -> LookedUp:
        return lookups.look_up(
            tx, node_of_token(tx, token), platform.config.log, asked, raw)

    return packed(feed.sign(await platform.database.run(work), platform.keys.signing["changes"]))


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [web.post("/v1/lookup", look_up)]
