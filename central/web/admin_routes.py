"""What administrators call."""

import asyncio

import msgspec
from aiohttp import web

from central import consents, intake, nodes, places, policies, registry, wallets
from central.accounts import DatabaseAccounts
from central.errors import Invalid
from central.nodes import GateRate, NewGate
from central.places import Where
from central.registry import NewCredential, NewHolder
from central.web.common import LIMIT_MAX, answer, number, platform_for_admin, read_json
from edge.access.accounts import Account, Role, check_name, hash_password
from edge.errors import ConfigError

AFTER_MAX = 2**62


class _Status(msgspec.Struct, forbid_unknown_fields=True):
    status: str
    reason: str


class _Region(msgspec.Struct, forbid_unknown_fields=True):
    region: str


class _Consent(msgspec.Struct, forbid_unknown_fields=True):
    purpose: str
    given: bool
    how: str


class _Account(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: Role
    password: str


async def add_holder(request: web.Request) -> web.Response:
    """`POST /v1/holders`."""
    platform = platform_for_admin(request)
    new = await read_json(request, NewHolder)
    holder_id = await platform.database.run(lambda tx: registry.add_holder(tx, new))
    return answer({"holder_id": holder_id}, 201)


async def list_holders(request: web.Request) -> web.Response:
    """`GET /v1/holders`."""
    platform = platform_for_admin(request)
    limit = number(request, "limit", 100, LIMIT_MAX)
    after = request.query.get("after", "")
    if after:
        registry.parse_id(after, "holder")
    return answer({"holders": await platform.database.run(
        lambda tx: registry.list_holders(tx, after, limit))})


async def photograph(request: web.Request) -> web.Response:
    """`POST /v1/holders/{id}/photograph`."""
    platform = platform_for_admin(request)
    holder_id, image = request.match_info["id"], await request.read()
    draft = await platform.enrol_face(image)
    await platform.database.run(lambda tx: registry.put_photograph(
        tx, holder_id, image, platform.pack_id, draft.template, draft.quality))
    return answer({"pack": platform.pack_id, "quality": round(draft.quality, 3),
                   "components": {k: round(v, 3) for k, v in draft.components.items()}}, 201)


async def set_region(request: web.Request) -> web.Response:
    """`PUT /v1/holders/{id}/region`."""
    platform = platform_for_admin(request)
    body, holder_id = await read_json(request, _Region), request.match_info["id"]
    await platform.database.run(lambda tx: registry.set_region(tx, holder_id, body.region))
    return answer({"holder_id": holder_id, "region": body.region})


async def consent(request: web.Request) -> web.Response:
    """`POST /v1/holders/{id}/consents`."""
    platform = platform_for_admin(request)
    body = await read_json(request, _Consent)
    holder_id = registry.parse_id(request.match_info["id"], "holder")
    await platform.database.run(lambda tx: consents.set_consent(
        tx, holder_id, body.purpose, given=body.given, how=body.how))
    return answer({"given": body.given})


async def put_account(request: web.Request) -> web.Response:
    """`POST /v1/accounts`: add somebody who signs in, or set a new password."""
    platform = platform_for_admin(request)
    body = await read_json(request, _Account)
    try:
        name = check_name(body.name)
        hashed = await asyncio.to_thread(hash_password, body.password)
    except ConfigError as error:
        raise Invalid(str(error)) from error
    book = DatabaseAccounts(platform.database)
    before = await book.find(name)
    await book.put(Account(
        name=name, role=body.role, password_hash=hashed,
        generation=before.generation + 1 if before else 0))
    await platform.database.run(lambda tx: tx.act("account.set", name, body.role.value))
    return answer({"name": name, "role": body.role.value}, 201)


async def wallet_code(request: web.Request) -> web.Response:
    """`POST /v1/holders/{id}/wallet-codes`."""
    platform = platform_for_admin(request)
    holder_id, life = request.match_info["id"], platform.config.code_life_s
    code = await platform.database.run(lambda tx: wallets.wallet_code(tx, holder_id, life))
    return answer({"code": code, "life_s": life}, 201)


async def issue(request: web.Request) -> web.Response:
    """`POST /v1/credentials`."""
    platform = platform_for_admin(request)
    new = await read_json(request, NewCredential)
    credential_id = await platform.database.run(lambda tx: registry.issue(tx, new))
    return answer({"credential_id": credential_id}, 201)


async def get_credential(request: web.Request) -> web.Response:
    """`GET /v1/credentials/{id}`."""
    platform = platform_for_admin(request)
    return answer(await platform.database.run(
        lambda tx: registry.get_credential(tx, request.match_info["id"])))


async def set_status(request: web.Request) -> web.Response:
    """`POST /v1/credentials/{id}/status`."""
    platform = platform_for_admin(request)
    body = await read_json(request, _Status)
    await platform.database.run(lambda tx: registry.set_status(
        tx, request.match_info["id"], body.status, body.reason))
    return answer({"status": body.status})


async def list_policies(request: web.Request) -> web.Response:
    """`GET /v1/policies`."""
    platform = platform_for_admin(request)
    return answer({"policies": await platform.database.run(policies.list_policies)})


async def get_policy(request: web.Request) -> web.Response:
    """`GET /v1/policies/{scene}`."""
    platform = platform_for_admin(request)
    return answer(await platform.database.run(
        lambda tx: policies.get_policy(tx, request.match_info["scene"])))


async def set_policy(request: web.Request) -> web.Response:
    """`PUT /v1/policies/{scene}`."""
    platform = platform_for_admin(request)
    body, reason = await request.read(), request.query.get("reason", "")
    return answer(await platform.database.run(
        lambda tx: policies.set_policy(tx, request.match_info["scene"], body, reason)))


async def node_code(request: web.Request) -> web.Response:
    """`POST /v1/node-codes`."""
    platform = platform_for_admin(request)
    life = platform.config.code_life_s
    code = await platform.database.run(lambda tx: nodes.node_code(tx, platform.root, life))
    return answer({"code": code, "life_s": life}, 201)


async def list_nodes(request: web.Request) -> web.Response:
    """`GET /v1/nodes`."""
    platform = platform_for_admin(request)
    return answer({"nodes": await platform.database.run(nodes.list_nodes)})


async def revoke_node(request: web.Request) -> web.Response:
    """`DELETE /v1/nodes/{id}`."""
    platform = platform_for_admin(request)
    reason = request.query.get("reason", "")
    await platform.database.run(
        lambda tx: nodes.revoke_node(tx, request.match_info["id"], reason))
    return answer({"revoked": request.match_info["id"]})


async def set_place(request: web.Request) -> web.Response:
    """`PUT /v1/nodes/{id}/place`: where a node stands."""
    platform = platform_for_admin(request)
    where, node_id = await read_json(request, Where), request.match_info["id"]
    await platform.database.run(lambda tx: places.set_place(tx, node_id, where))
    return answer({"node_id": node_id, "lat": where.lat, "lon": where.lon})


async def add_gate(request: web.Request) -> web.Response:
    """`POST /v1/gates`."""
    platform = platform_for_admin(request)
    new = await read_json(request, NewGate)
    gate_id, credential = await platform.database.run(lambda tx: nodes.add_gate(tx, new))
    return answer({"gate_id": gate_id, "credential": credential}, 201)


async def list_gates(request: web.Request) -> web.Response:
    """`GET /v1/gates`."""
    platform = platform_for_admin(request)
    gates = await platform.database.run(nodes.list_gates)
    return answer({"gates": [
        {"gate_id": g.gate_id, "label": g.label, "scenes": g.scenes, "node_id": g.node_id,
         "revoked": g.revoked, "rate_per_s": g.rate_per_s} for g in gates]})


async def set_gate_rate(request: web.Request) -> web.Response:
    """`PUT /v1/gates/{id}/rate`."""
    platform = platform_for_admin(request)
    rate, gate_id = await read_json(request, GateRate), request.match_info["id"]
    await platform.database.run(lambda tx: nodes.set_gate_rate(tx, gate_id, rate))
    return answer({"gate_id": gate_id, "rate_per_s": rate.rate_per_s})


async def revoke_gate(request: web.Request) -> web.Response:
    """`DELETE /v1/gates/{id}`."""
    platform = platform_for_admin(request)
    reason = request.query.get("reason", "")
    await platform.database.run(
        lambda tx: nodes.revoke_gate(tx, request.match_info["id"], reason))
    return answer({"revoked": request.match_info["id"]})


async def journal(request: web.Request) -> web.Response:
    """`GET /v1/journal`."""
    platform = platform_for_admin(request)
    after = number(request, "after", 0, AFTER_MAX)
    limit = number(request, "limit", 100, LIMIT_MAX)
    return answer({"records": await platform.database.run(
        lambda tx: intake.list_journal(tx, after, limit))})


async def status(request: web.Request) -> web.Response:
    """`GET /v1/status`."""
    platform = platform_for_admin(request)
    return answer({"log": platform.config.log, "pack": platform.pack_id,
                   "unix_s": platform.now(), "counters": await platform.counters(),
                   "database": platform.database.status})


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [
        web.post("/v1/holders", add_holder), web.get("/v1/holders", list_holders),
        web.post("/v1/holders/{id}/photograph", photograph),
        web.put("/v1/holders/{id}/region", set_region),
        web.post("/v1/holders/{id}/wallet-codes", wallet_code),
        web.post("/v1/holders/{id}/consents", consent), web.post("/v1/accounts", put_account),
        web.post("/v1/credentials", issue), web.get("/v1/credentials/{id}", get_credential),
        web.post("/v1/credentials/{id}/status", set_status),
        web.get("/v1/policies", list_policies), web.get("/v1/policies/{scene}", get_policy),
        web.put("/v1/policies/{scene}", set_policy), web.post("/v1/node-codes", node_code),
        web.get("/v1/nodes", list_nodes), web.delete("/v1/nodes/{id}", revoke_node),
        web.put("/v1/nodes/{id}/place", set_place),
        web.post("/v1/gates", add_gate), web.get("/v1/gates", list_gates),
        web.put("/v1/gates/{id}/rate", set_gate_rate),
        web.delete("/v1/gates/{id}", revoke_gate), web.get("/v1/journal", journal),
        web.get("/v1/status", status),
    ]
