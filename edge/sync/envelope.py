"""Open envelopes: nothing inside is parsed before enough signatures hold over it.

- In this order: size, form, number of signatures, threshold, and only then the body.
- A signature counts once a key, only for the role that the caller names, only by keys
  that the given root lists for it.
- Pure: bytes in, struct or refusal out; no clock, no I/O.
- Not here: what a believed body may say (edge.sync.rules).
"""

from enum import StrEnum
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.errors import FeedRefused
from edge.protocol.bundle import BundleHead
from edge.protocol.feed import (
    ENVELOPE_BYTES_MAX,
    FORMAT,
    SIGNATURES_MAX,
    ChangeBatch,
    Envelope,
    KeyDelivery,
    Root,
    key_id,
    signed_bytes,
)
from edge.protocol.lookup import LookedUp
from edge.protocol.snapshot import Snapshot, Timestamp

KEY_BYTES = 32
SIGNATURE_BYTES = 64
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises over bytes from outside: also bad UTF-8 and deep nesting."""


class Rule(StrEnum):
    """The trust rules, by the order in which they are asked."""

    SIZE = "size"
    FORM = "form"
    SIGNATURES = "signatures"
    KIND = "kind"
    FORMAT = "format"
    FINGERPRINT = "fingerprint"
    KEYS_OF_ROOT = "keys_of_root"
    LOG = "log"
    ROOT_EXPIRED = "root_expired"
    FUTURE = "future"
    EXPIRED = "expired"
    ROLLBACK = "rollback"
    ORDER = "order"
    TRUNCATED = "truncated"
    CONTENT = "content"
    OTHER_NODE = "other_node"
    CARRIER = "carrier"
    SEAL = "seal"
    DIGEST = "digest"


class Refusal(FeedRefused):
    """A broken trust rule.

    Attributes:
        rule: Which one; for metrics and the status page.
    """

    def __init__(self, rule: Rule, message: str) -> None:
        """Keep the rule beside the message."""
        super().__init__(message)
        self.rule = rule


Body = TypeVar(
    "Body", Root, ChangeBatch, KeyDelivery, BundleHead, Snapshot, Timestamp, LookedUp)
_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_HEADER_ROLES = ("root", "changes", "keys")


def open_envelope(data: bytes) -> Envelope:
    """Parse the outside of an envelope, within its bounds; its body stays unread.

    Raises:
        Refusal: Rules `size` and `form`.
    """
    if len(data) > ENVELOPE_BYTES_MAX:
        raise Refusal(Rule.SIZE, f"an envelope of {len(data)} bytes is over the bound")
    try:
        envelope = _ENVELOPE.decode(data)
    except UNREADABLE as error:
        raise Refusal(Rule.FORM, f"what came is no envelope: {error}") from error
    if len(envelope.signatures) > SIGNATURES_MAX:
        raise Refusal(Rule.FORM, f"{len(envelope.signatures)} signatures are over the bound")
    return envelope


def check_signatures(envelope: Envelope, root: Root, role: str) -> None:
    """Demand the threshold of a role over the exact bytes of the body.

    Raises:
        Refusal: Rule `signatures`.
    """
    allowed = root.roles.get(role)
    if allowed is None:
        raise Refusal(
            Rule.SIGNATURES, f"root version {root.version} names no keys for '{role}'")
    covered = signed_bytes(envelope.body)
    good = {
        signature.key_id
        for signature in envelope.signatures
        if signature.key_id in allowed.key_ids
        and _holds(root.keys[signature.key_id], signature.value, covered)
    }
    if len(good) < allowed.threshold:
        raise Refusal(
            Rule.SIGNATURES,
            f"{len(good)} of {allowed.threshold} signatures needed for '{role}' hold "
            f"under root version {root.version}",
        )


def parse_body(envelope: Envelope, kind: type[Body]) -> Body:
    """Parse a body whose signatures already hold.

    Raises:
        Refusal: Rules `kind` (another kind, or fields that aren't of it) and `format`.
    """
    try:
        body = msgspec.msgpack.decode(envelope.body, type=kind)
    except UNREADABLE as error:
        raise Refusal(Rule.KIND, f"the body isn't the kind asked for: {error}") from error
    if body.format != FORMAT:
        raise Refusal(
            Rule.FORMAT, f"format {body.format} isn't {FORMAT}: this node needs another version"
        )
    return body


def check_keys_of_root(root: Root) -> None:
    """Demand that a root names real keys and thresholds that its keys can meet.

    Raises:
        Refusal: Rule `keys_of_root`.
    """
    for name, public in root.keys.items():
        if len(public) != KEY_BYTES or key_id(public) != name:
            raise Refusal(Rule.KEYS_OF_ROOT, "a key of the root doesn't match its id")
    for role in _HEADER_ROLES:
        if role not in root.roles:
            raise Refusal(Rule.KEYS_OF_ROOT, f"the root names no keys for '{role}'")
    for role, allowed in root.roles.items():
        names = set(allowed.key_ids)
        if not 1 <= allowed.threshold <= len(names) or not names <= root.keys.keys():
            raise Refusal(Rule.KEYS_OF_ROOT, f"the threshold of '{role}' can't be met by its keys")


def role_keys(root: Root, role: str) -> tuple[Ed25519PublicKey, ...]:
    """Give the keys of a role that a root may lack; any one of them is enough."""
    names = root.roles[role].key_ids if role in root.roles else ()
    return tuple(Ed25519PublicKey.from_public_bytes(root.keys[name]) for name in names)


def withdrawn(before: Root, after: Root, role: str) -> bool:
    """Say whether a role lost a key: what only that key may have said isn't a floor any more."""
    held, kept = before.roles.get(role), after.roles.get(role)
    return held is not None and (kept is None or not set(held.key_ids) <= set(kept.key_ids))


def _holds(public: bytes, value: bytes, covered: bytes) -> bool:
    if len(value) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(value, covered)
    except InvalidSignature:
        return False
    return True
