"""A node's token: how long it is good, how it is rotated, how a node comes back.

- A token ends after `token_days`. A node that proves its signing key gets the next one at any
  time, with a good token or without: so one that was away for months comes back by itself.
- Not one that was revoked, nor one that wasn't heard for `away_days_max`: it is enrolled anew.
- The token before stays good until the new one is used, for an hour at most: a node that was killed
  between answer and disk isn't locked out.
- Challenges aren't stored: they carry their time and the platform's MAC, and one is of no use once
  the node renewed with it or with a later one.
"""

import hmac
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import or_, select

from central.errors import Forbidden, Unauthorised
from central.keys import PlatformKeys
from central.nodes import hash_secret
from central.schema import Node
from central.store import Transaction
from edge.hotpath.node_seal import seal_to_node
from edge.protocol.identity import Renewed, RenewRequest, renew_bytes, token_info
from edge.protocol.steps import DAY_S

CHALLENGE_S = 60
SKEW_S = 5
"""By so much may clocks of the platform's own processes differ."""
BEFORE_S = 3_600
SEEN_EVERY_S = 5
"""Being heard is written down at most so often: a poll is then no write."""
_NONCE_BYTES, _TIME_BYTES = 16, 8
_KNOWN_TO_NOBODY = "unknown or revoked node"


def make_challenge(keys: PlatformKeys, node_id: str, now: float) -> bytes:
    """Make a challenge; it doesn't tell whether there is such a node."""
    body = int(now * 1000).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_NONCE_BYTES)
    return body + _mac(keys, node_id, body)


def renew(
    tx: Transaction, request: RenewRequest, log: str, *, now: float, token_days: int,
    away_days_max: int,
) -> Renewed:
    """Give a node that proves its key the next token.

    Raises:
        Forbidden: There is no such node, it was revoked or away for too long, or it proved nothing.
    """
    challenged_ms = _opened(tx.keys, request, now)
    node = tx.session.get(Node, request.node_id, with_for_update=True)
    if node is None or node.revoked_s is not None:
        raise Forbidden(_KNOWN_TO_NOBODY)
    try:
        Ed25519PublicKey.from_public_bytes(node.sign_public).verify(
            request.signature, renew_bytes(log, node.id, request.challenge))
    except InvalidSignature:
        raise Forbidden(_KNOWN_TO_NOBODY) from None
    if challenged_ms <= node.token_rotated_ms:
        raise Forbidden("this challenge is over: ask for another")
    away_s = tx.now_s - node.seen_s
    if away_s > away_days_max * DAY_S:
        raise Forbidden(f"not heard for {away_s // DAY_S} days, more than {away_days_max}: enrol "
                        "the node anew, into an empty data folder")
    token = secrets.token_urlsafe(32)
    good = tx.now_s < node.token_expires_s
    if not good:
        tx.act("node.return", node.id, f"{away_s // DAY_S} days away", who=f"node {node.id}")
    node.token_before_hash = node.token_hash if good else None
    node.token_hash, node.token_rotated_ms = hash_secret(token), challenged_ms
    node.token_expires_s, node.seen_s = tx.now_s + token_days * DAY_S, tx.now_s
    sealed = seal_to_node(token.encode(), node.seal_public, token_info(log, node.id))
    return Renewed(sealed=sealed, expires_s=node.token_expires_s, unix_s=now)


def node_of_token(tx: Transaction, token: str) -> Node:
    """Find the node of a token and note that it was heard.

    Raises:
        Unauthorised: There is none, it was revoked, or its token has ended.
    """
    hashed = hash_secret(token)
    node = tx.session.scalar(select(Node).where(
        or_(Node.token_hash == hashed, Node.token_before_hash == hashed)))
    if node is None or node.revoked_s is not None:
        raise Unauthorised(_KNOWN_TO_NOBODY)
    current = node.token_hash == hashed
    ends_s = node.token_expires_s if current else node.token_rotated_ms // 1000 + BEFORE_S
    if tx.now_s >= ends_s:
        raise Unauthorised("this token has ended: renew it with the node's key")
    if current and node.token_before_hash is not None:
        node.token_before_hash = None
    if not 0 <= tx.now_s - node.seen_s < SEEN_EVERY_S:
        node.seen_s = tx.now_s
    return node


def _opened(keys: PlatformKeys, request: RenewRequest, now: float) -> int:
    """Give when a challenge was made, in milliseconds; refuse what is none, or over."""
    body = request.challenge[: _TIME_BYTES + _NONCE_BYTES]
    genuine = hmac.compare_digest(request.challenge, body + _mac(keys, request.node_id, body))
    made_ms = int.from_bytes(body[:_TIME_BYTES], "big")
    if not genuine or not -SKEW_S <= now - made_ms / 1000 <= CHALLENGE_S:
        raise Forbidden("this challenge is over: ask for another")
    return made_ms


def _mac(keys: PlatformKeys, node_id: str, body: bytes) -> bytes:
    return hmac.digest(keys.derive(b"node-challenge"), body + node_id.encode(), "sha256")
