"""What nodes and wallets call."""

import asyncio
import base64

import msgspec
from aiohttp import web

from central import (
    cards,
    checkpoints,
    consents,
    identity,
    intake,
    nodes,
    signals,
    statuslists,
    wallets,
)
from central.errors import Refused, Unknown
from central.fleet import known_scenes
from central.nodes import EnrolRequest
from central.schema import Node
from central.store import Transaction
from central.web.common import METRICS, PLATFORM, answer, bearer, number, packed, read_json
from edge.hotpath.statuslist import MEDIA_TYPE
from edge.protocol.feed import ROLE_CARDS, ROLE_STATUS, WAIT_S_MAX
from edge.protocol.identity import Challenge, ChallengeRequest, RenewRequest
from edge.protocol.journal import JournalAck

CURSOR_MAX = 2**62


class _Code(msgspec.Struct, forbid_unknown_fields=True):
    code: str


async def enrol(request: web.Request) -> web.Response:
    """`POST /v1/nodes/enrol`."""
    platform = request.app[PLATFORM]
    platform.check_code_rate()
    body = await read_json(request, EnrolRequest)
    try:
        node_id, token, expires_s = await platform.database.run(
            lambda tx: nodes.enrol(tx, body, platform.config.token_days))
    except Refused:
        platform.code_failed()
        raise
    return answer({
        "node_id": node_id, "token": token, "log": platform.config.log,
        "root": base64.b64encode(platform.root).decode(), "unix_s": platform.now(),
        "expires_s": expires_s,
    })


async def challenge(request: web.Request) -> web.Response:
    """`POST /v1/nodes/challenge`."""
    platform = request.app[PLATFORM]
    body = await read_json(request, ChallengeRequest)
    return answer(Challenge(
        challenge=identity.make_challenge(platform.keys, body.node_id, platform.now())))


async def renew(request: web.Request) -> web.Response:
    """`POST /v1/nodes/renew`."""
    platform = request.app[PLATFORM]
    body, config = await read_json(request, RenewRequest), platform.config
    return answer(await platform.database.run(lambda tx: identity.renew(
        tx, body, config.log, now=platform.now(), token_days=config.token_days,
        away_days_max=config.away_days_max)))


async def feed(request: web.Request) -> web.Response:
    """`GET /v1/feed`."""
    platform, token = request.app[PLATFORM], bearer(request)
    cursor = number(request, "cursor", 0, CURSOR_MAX)
    wait_s = number(request, "wait_s", 0, WAIT_S_MAX)
    await platform.database.run(lambda tx: _seen(tx, token))
    return packed(await platform.feed(cursor, wait_s))


async def keys(request: web.Request) -> web.Response:
    """`GET /v1/keys`."""
    platform, token = request.app[PLATFORM], bearer(request)
    return packed(await platform.database.run(
        lambda tx: platform.key_delivery(tx, identity.node_of_token(tx, token))
    ))


async def root(request: web.Request) -> web.Response:
    """`GET /v1/root`."""
    platform, token = request.app[PLATFORM], bearer(request)
    await platform.database.run(lambda tx: _seen(tx, token))
    version = number(request, "version", 1, CURSOR_MAX)
    if not 1 <= version <= len(platform.roots):
        raise Unknown("there is no such root yet")
    return packed(platform.roots[version - 1])


async def time(request: web.Request) -> web.Response:
    """`GET /v1/time`."""
    return answer({"unix_s": request.app[PLATFORM].now()})


async def journal(request: web.Request) -> web.Response:
    """`POST /v1/journal`."""
    platform, token = request.app[PLATFORM], bearer(request)
    data = await request.read()

    def work(tx: Transaction) -> tuple[intake.Taken, int, frozenset[str]]:
        node: Node = identity.node_of_token(tx, token)
        taken = intake.take_in(tx, node, data)
        far = signals.far_apart(tx, node.journal_log, taken.fresh)
        return taken, len(far), known_scenes(tx)

    taken, far, scenes = await platform.database.run(work)
    request.app[METRICS].took_in(
        taken.fresh, scenes, conflict=taken.conflict, far_apart=far)
    return answer(JournalAck(taken.next), 409 if taken.conflict else 200)


async def checkpoint(request: web.Request) -> web.Response:
    """`POST /v1/journal/checkpoint`: counter-sign, or 409 with what is held."""
    platform, token = request.app[PLATFORM], bearer(request)
    data = await request.read()
    said = await platform.database.run(
        lambda tx: checkpoints.take_checkpoint(tx, identity.node_of_token(tx, token), data))
    return answer(said, 200 if said.countersignature is not None else 409)


async def witness(request: web.Request) -> web.Response:
    """`GET /v1/witness`: the public key that counter-signs, for whoever checks receipts."""
    return answer({"public": request.app[PLATFORM].keys.witness_public})


async def report(request: web.Request) -> web.Response:
    """`POST /v1/nodes/report`."""
    platform, token = request.app[PLATFORM], bearer(request)
    data = await request.read()
    await platform.database.run(
        lambda tx: nodes.put_report(tx, identity.node_of_token(tx, token), data))
    return answer({})


async def pair(request: web.Request) -> web.Response:
    """`POST /v1/wallets`."""
    platform = request.app[PLATFORM]
    platform.check_code_rate()
    body = await read_json(request, _Code)
    try:
        token, holder = await platform.database.run(lambda tx: wallets.pair(tx, body.code))
    except Refused:
        platform.code_failed()
        raise
    return answer({"token": token, "holder": holder})


async def wallet(request: web.Request) -> web.Response:
    """`GET /v1/wallet`."""
    platform, token = request.app[PLATFORM], bearer(request)
    ahead = platform.config.wallet_ahead_days
    return answer(await platform.database.run(lambda tx: wallets.deliver(
        tx, wallets.wallet_of_token(tx, token), ahead, platform.now())))


async def wallet_cards(request: web.Request) -> web.Response:
    """`GET /v1/wallet/cards`: made when asked for, since each takes milliseconds."""
    platform, token = request.app[PLATFORM], bearer(request)
    log, ahead = platform.config.log, platform.config.wallet_ahead_days
    key = cards.role_key(platform.keys, platform.root, ROLE_CARDS)
    if key is None:
        return answer({"cards": []})
    drafts = await platform.database.run(lambda tx: cards.draft(
        tx, wallets.wallet_of_token(tx, token), log=log, pack=platform.pack_id, ahead_days=ahead))
    made = await asyncio.get_running_loop().run_in_executor(None, cards.make, drafts, log, key)
    return answer({"cards": made})


async def status_list(request: web.Request) -> web.Response:
    """`GET /v1/status-lists/{number}`: public, as the draft has it, and cacheable."""
    platform, text = request.app[PLATFORM], request.match_info["number"]
    key = cards.role_key(platform.keys, platform.root, ROLE_STATUS)
    if key is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Unknown("there is no such status list")
    number, config = int(text), platform.config
    tag, _ = await platform.database.run(lambda tx: statuslists.tag_of(tx, number))
    headers = {"Cache-Control": f"public, max-age={statuslists.TTL_S}", "ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    made, headers["ETag"] = await platform.database.run(lambda tx: statuslists.token(
        tx, number, log=config.log, ahead_days=config.node_ahead_days, key=key))
    return web.Response(body=made, content_type=MEDIA_TYPE, headers=headers)


async def wallet_visits(request: web.Request) -> web.Response:
    """`GET /v1/wallet/visits`."""
    platform, token = request.app[PLATFORM], bearer(request)
    before = request.query.get("before", "")
    return answer(await platform.database.run(lambda tx: wallets.visits(
        tx, wallets.wallet_of_token(tx, token), before)))


async def wallet_consent(request: web.Request) -> web.Response:
    """`POST /v1/wallet/consents`."""
    platform, token = request.app[PLATFORM], bearer(request)
    body = await read_json(request, _Consent)

    def work(tx: Transaction) -> list[consents.ConsentShown]:
        holder_id = wallets.wallet_of_token(tx, token).holder_id
        consents.set_consent(
            tx, holder_id, body.purpose, given=body.given, how="in the holder's wallet")
        return consents.list_consents(tx, holder_id)

    return answer({"consents": await platform.database.run(work, "holder")})


async def wallet_unpair(request: web.Request) -> web.Response:
    """`DELETE /v1/wallet`."""
    platform, token = request.app[PLATFORM], bearer(request)
    await platform.database.run(
        lambda tx: wallets.unpair(tx, wallets.wallet_of_token(tx, token)))
    return answer({})


class _Consent(msgspec.Struct, forbid_unknown_fields=True):
    purpose: str
    given: bool


def _seen(tx: Transaction, token: str) -> None:
    identity.node_of_token(tx, token)


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [
        web.post("/v1/nodes/enrol", enrol), web.post("/v1/nodes/challenge", challenge),
        web.post("/v1/nodes/renew", renew), web.post("/v1/nodes/report", report),
        web.get("/v1/feed", feed), web.get("/v1/keys", keys),
        web.get("/v1/root", root), web.get("/v1/time", time), web.post("/v1/journal", journal),
        web.post("/v1/journal/checkpoint", checkpoint), web.get("/v1/witness", witness),
        web.post("/v1/wallets", pair), web.get("/v1/wallet", wallet),
        web.delete("/v1/wallet", wallet_unpair), web.get("/v1/wallet/visits", wallet_visits),
        web.get("/v1/wallet/cards", wallet_cards),
        web.get("/v1/status-lists/{number}", status_list),
        web.post("/v1/wallet/consents", wallet_consent),
    ]


