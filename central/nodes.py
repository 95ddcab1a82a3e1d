"""Nodes, gates and one-time codes.

- A code is spent once, expires, and is kept hashed; wrong ones are counted by the minute.
- A node's code ends in the root's fingerprint. The same code with the same keys gives the same
  node again, so a node killed between answer and store isn't lost.
- Tokens and gate secrets are shown once and kept hashed.
"""

import base64
import hashlib
import secrets
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import select

from central import feed_keys
from central.errors import Forbidden, Invalid, Unknown
from central.schema import Code, Gate, Node
from central.store import Transaction
from edge.hotpath.node_seal import check_public
from edge.protocol.feed import Envelope, PutGate, root_fingerprint
from edge.protocol.records import GateRecord
from edge.protocol.report import NodeReport
from edge.protocol.steps import DAY_S

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_CHARS = 16
NAME_CHARS_MAX = 64
TOKEN_DAYS = 30


RATE_MAX_PER_S = 1_000_000
_Rate = Annotated[float, Meta(gt=0, le=RATE_MAX_PER_S)] | None


class NewGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate to register."""

    label: str
    scenes: tuple[str, ...]
    node_id: str = ""
    rate_per_s: _Rate = None


class GateRate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls a second that a gate may make for ever; None = as its node's configuration says."""

    rate_per_s: _Rate


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself; keys base64."""

    code: str
    name: str
    sign_public: bytes
    seal_public: bytes


class NodeShown(msgspec.Struct, frozen=True):
    """A node as an administrator sees it."""

    node_id: str
    name: str
    enrolled_s: int
    seen_s: int
    revoked_s: int | None
    journal_log: str
    token_expires_s: int
    report: NodeReport | None = None
    report_s: int | None = None


def make_code(tx: Transaction, purpose: str, subject: bytes, life_s: int, ending: str = "") -> str:
    """Make a one-time code."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_CHARS)) + ending
    tx.session.add(Code(
        hash=hash_secret(code), purpose=purpose, subject=subject, expires_s=tx.now_s + life_s,
        used_by=None,
    ))
    return code


def spend_code(tx: Transaction, purpose: str, code: str, by: bytes) -> tuple[bytes, bool]:
    """Spend a code.

    Returns:
        Its subject, and whether it was spent before by the same one.

    Raises:
        Forbidden: It is unknown, expired or was used; it doesn't say which.
    """
    row = tx.session.get(Code, hash_secret(code.strip()), with_for_update=True)
    if row is None or row.purpose != purpose or row.expires_s <= tx.now_s:
        raise Forbidden("this code is wrong, used or expired: ask for a new one")
    if row.used_by is not None and row.used_by != by:
        raise Forbidden("this code is wrong, used or expired: ask for a new one")
    again = row.used_by is not None
    row.used_by = by
    return row.subject, again


def node_code(tx: Transaction, root: bytes, life_s: int) -> str:
    """Make a node's enrolment code."""
    body = msgspec.msgpack.decode(root, type=Envelope).body
    tx.act("node.code", "")
    return make_code(tx, "node", b"", life_s, "-" + root_fingerprint(body))


def enrol(
    tx: Transaction, request: EnrolRequest, token_days: int = TOKEN_DAYS
) -> tuple[str, str, int]:
    """Enrol a node; give its id, its token and when that ends.

    Raises:
        Invalid: Name or keys are of the wrong form.
        Forbidden: The code is no good.
    """
    if len(request.sign_public) != 32:
        raise Invalid("sign_public is 32 bytes, base64")
    try:
        check_public(request.seal_public)
    except ValueError as error:
        raise Invalid(f"seal_public: {error}") from error
    if not 1 <= len(request.name) <= NAME_CHARS_MAX or "\0" in request.name:
        raise Invalid(f"name: 1 to {NAME_CHARS_MAX} characters")
    by = hashlib.sha256(request.sign_public + request.seal_public).digest()
    _, again = spend_code(tx, "node", request.code, by)
    token = secrets.token_urlsafe(32)
    log = hashlib.sha256(request.sign_public).hexdigest()[:32]
    node = tx.session.scalar(select(Node).where(Node.journal_log == log))
    if node is not None and not again:
        raise Forbidden("this node is enrolled already")
    if node is None:
        node = Node(
            id=secrets.token_hex(8), name=request.name, sign_public=request.sign_public,
            seal_public=request.seal_public, journal_log=log, enrolled_s=tx.now_s,
            seen_s=tx.now_s, revoked_s=None, token_hash=b"",
        )
        tx.session.add(node)
    node.token_hash, node.token_before_hash = hash_secret(token), None
    node.token_expires_s = tx.now_s + token_days * DAY_S
    tx.act("node.enrol", node.id, request.name, who=f"node {node.id}")
    return node.id, token, node.token_expires_s


def list_nodes(tx: Transaction) -> list[NodeShown]:
    """Give every node."""
    return [
        NodeShown(n.id, n.name, n.enrolled_s, n.seen_s, n.revoked_s, n.journal_log,
                  n.token_expires_s, _report(n), n.report_s)
        for n in tx.session.scalars(select(Node).order_by(Node.enrolled_s))
    ]


def put_report(tx: Transaction, node: Node, data: bytes) -> None:
    """Keep what a node says of itself.

    Raises:
        Invalid: It isn't a report.
    """
    try:
        msgspec.json.decode(data, type=NodeReport)
    except msgspec.MsgspecError as error:
        raise Invalid(f"not a report: {error}") from error
    node.report, node.report_s = data, tx.now_s


def _report(node: Node) -> NodeReport | None:
    return msgspec.json.decode(node.report, type=NodeReport) if node.report else None


def revoke_node(tx: Transaction, node_id: str, reason: str) -> None:
    """Revoke a node: it gets no further feed and no further keys."""
    node = tx.session.get(Node, node_id)
    if node is None:
        raise Unknown("there is no such node")
    if node.revoked_s is None:
        node.revoked_s = tx.now_s
        feed_keys.rotate(tx)
    tx.act("node.revoke", node_id, reason)


def add_gate(tx: Transaction, new: NewGate) -> tuple[str, str]:
    """Register a gate; give its id and its credential, which is shown only now.

    Raises:
        Invalid: It names no scene.
    """
    if not new.scenes:
        raise Invalid("scenes: name at least one")
    gate_id, secret = secrets.token_hex(6), secrets.token_bytes(32)
    record = GateRecord(
        gate_id=gate_id, secret_hash=hashlib.sha256(secret).digest(), scenes=new.scenes,
        node_id=new.node_id, label=new.label, rate_per_s=new.rate_per_s,
    )
    _keep_gate(tx, record)
    tx.act("gate.add", gate_id, new.label)
    return gate_id, f"{gate_id}.{base64.urlsafe_b64encode(secret).decode().rstrip('=')}"


def list_gates(tx: Transaction) -> list[GateRecord]:
    """Give every gate, without the hash of its secret."""
    return [
        msgspec.structs.replace(msgspec.msgpack.decode(row.body, type=GateRecord), secret_hash=b"")
        for row in tx.session.scalars(select(Gate).order_by(Gate.created_s))
    ]


def set_gate_rate(tx: Transaction, gate_id: str, rate: GateRate) -> None:
    """Say how often a gate may call; nodes hold their own bound all the same.

    Raises:
        Unknown: There is no such gate.
        Invalid: It is revoked.
    """
    row = tx.session.get(Gate, gate_id)
    if row is None:
        raise Unknown("there is no such gate")
    record = msgspec.msgpack.decode(row.body, type=GateRecord)
    if record.revoked:
        raise Invalid("this gate is revoked: it may not call at all")
    record = msgspec.structs.replace(record, rate_per_s=rate.rate_per_s)
    row.body = msgspec.msgpack.encode(record)
    tx.publish(PutGate(record))
    said = "as the node says" if rate.rate_per_s is None else f"{rate.rate_per_s:g} calls a second"
    tx.act("gate.rate", gate_id, said)


def revoke_gate(tx: Transaction, gate_id: str, reason: str) -> None:
    """Revoke a gate at every node of the feed."""
    row = tx.session.get(Gate, gate_id)
    if row is None:
        raise Unknown("there is no such gate")
    record = msgspec.structs.replace(
        msgspec.msgpack.decode(row.body, type=GateRecord), revoked=True
    )
    tx.session.delete(row)
    tx.session.flush()
    _keep_gate(tx, record)
    tx.act("gate.revoke", gate_id, reason)


def _keep_gate(tx: Transaction, record: GateRecord) -> None:
    body = msgspec.msgpack.encode(record)
    tx.session.add(Gate(id=record.gate_id, body=body, created_s=tx.now_s))
    tx.publish(PutGate(record))


def hash_secret(text: str) -> bytes:
    """Hash a high-entropy secret."""
    return hashlib.sha256(text.encode()).digest()
