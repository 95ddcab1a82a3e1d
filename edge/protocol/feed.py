"""The feed: signed, versioned, expiring envelopes that carry changes to nodes.

- An `Envelope` is opaque bytes plus signatures over exactly those bytes; what
  is inside is parsed only after enough signatures hold (the manner of TUF).
- Each signed body names its kind, format version, log, issue and expiry time,
  so that one body can't stand in for another.
- Changes are numbered from 0 without gaps; `first` and `head` make order,
  rollback and freeze visible.
- Key epochs never travel in the shared change log: they are sealed to one node
  (`KeyDelivery`), and the log only says that there are new ones.
- Not here: checking (edge.sync.rules) and signing (central).
"""

import hashlib

import msgspec

from edge.protocol.records import (
    CredentialRecord,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    StatusRecord,
)

FORMAT = 1
SIGNING_CONTEXT = b"kanhe/feed/1\x00"
"""Prefixed to the body before signing: a signature here is one nowhere else."""
ENVELOPE_BYTES_MAX = 8 * 1024 * 1024
SIGNATURES_MAX = 16
CHANGES_MAX = 5_000
EPOCHS_MAX = 400
WAIT_S_MAX = 55
SEAL_INFO = b"kanhe/feed/keys/1"
ROLE_CARDS, ROLE_STATUS = "cards", "status"
"""Roles whose keys sign COSE messages, not envelopes; a root may lack them."""
FINGERPRINT_CHARS = 32
"""A node's one-time code ends in this many characters of root fingerprint."""


def signed_bytes(body: bytes) -> bytes:
    """Give the bytes that a signature of an envelope covers."""
    return SIGNING_CONTEXT + body


def key_id(public: bytes) -> str:
    """Give the id of an Ed25519 public key (32 bytes): SHA-256 of it, hex."""
    return hashlib.sha256(public).hexdigest()


def root_fingerprint(root_body: bytes) -> str:
    """Give the fingerprint that pins a root: 16 bytes of SHA-256 of its body, lower-case hex."""
    return hashlib.sha256(root_body).hexdigest()[:FINGERPRINT_CHARS]


def seal_info(node_id: str) -> bytes:
    """Give the HPKE info that binds a sealed epoch to one node."""
    return SEAL_INFO + node_id.encode()


def list_uri(log: str, number: int) -> str:
    """Give the name of a status list of a feed: a name to compare, never an address to call."""
    return f"kanhe:{log}/{number}"


def feed_key_info(node_id: str, version: int) -> bytes:
    """Give the HPKE info that binds a sealed feed key to one node and version."""
    return b"kanhe/feed/feed-key/1/%d/" % version + node_id.encode()


def change_bound(log: str, number: int) -> bytes:
    """Give what a sealed change is bound to: its log and place in it."""
    return b"kanhe/feed/change/1\x00%d/" % number + log.encode()


class Signature(msgspec.Struct, frozen=True):
    """An Ed25519 signature (64 bytes) by the key with this id (SHA-256 of it, hex)."""

    key_id: str
    value: bytes


class Envelope(msgspec.Struct, frozen=True):
    """A signed body."""

    body: bytes
    signatures: tuple[Signature, ...]


class RoleKeys(msgspec.Struct, frozen=True):
    """Who may sign a kind of body, and how many of them must."""

    key_ids: tuple[str, ...]
    threshold: int = 1


class Root(msgspec.Struct, frozen=True, tag="root", kw_only=True):
    """The keys everything else is checked with; replaced only by version + 1."""

    format: int
    log: str
    version: int
    issued_s: int
    expires_s: int
    keys: dict[str, bytes]
    """Ed25519 public keys (32 bytes) by key id."""
    roles: dict[str, RoleKeys]
    """By kind: `root`, `changes`, `keys`; `snapshot`, `timestamp` where snapshots are made. `cards`
    and `status` name who signs cards and status lists; a root without them has nobody who does."""


class PutCredential(msgspec.Struct, frozen=True, tag="put_credential"):
    """A credential granted or changed."""

    credential: CredentialRecord


class DropCredential(msgspec.Struct, frozen=True, tag="drop_credential"):
    """A credential that leaves the feed altogether."""

    credential_id: bytes


class PutReference(msgspec.Struct, frozen=True, tag="put_reference"):
    """A reference enrolled or renewed."""

    reference: ReferenceRecord


class DropReference(msgspec.Struct, frozen=True, tag="drop_reference"):
    """A reference withdrawn."""

    holder_id: bytes
    pack: str


class PutStatus(msgspec.Struct, frozen=True, tag="put_status"):
    """A credential suspended, revoked or restored."""

    status: StatusRecord


class PutPolicy(msgspec.Struct, frozen=True, tag="put_policy"):
    """A scene's policy, a new version."""

    policy: ScenePolicy


class DropPolicy(msgspec.Struct, frozen=True, tag="drop_policy"):
    """A scene that is no longer verified."""

    scene: str


class PutGate(msgspec.Struct, frozen=True, tag="put_gate"):
    """A gate registered, changed or revoked."""

    gate: GateRecord


class EpochsChanged(msgspec.Struct, frozen=True, tag="epochs_changed"):
    """There are new key epochs: fetch the node's own `KeyDelivery`."""

    newest: int


class SealedChange(msgspec.Struct, frozen=True, tag="sealed"):
    """A change with personal data, sealed under a feed key (AES-256-GCM).

    `sealed` is a nonce of 12 bytes ‖ ciphertext of the change's MessagePack, bound to log and
    number by `change_bound`. Only on the way: it is opened before it is believed.
    """

    key: int
    sealed: bytes


Change = (
    PutCredential | DropCredential | PutReference | DropReference | PutStatus
    | PutPolicy | DropPolicy | PutGate | EpochsChanged | SealedChange
)


class ChangeBatch(msgspec.Struct, frozen=True, tag="changes", kw_only=True):
    """A run of changes `first … first+len-1`; empty is a sign of life.

    Attributes:
        first: Number of the first change in it, or of the next one when empty.
        head: How many changes the log holds at `issued_s`.
        carried_to: The node that a file carries it to; empty = for the wire.
    """

    format: int
    log: str
    first: int
    head: int
    issued_s: int
    expires_s: int
    changes: tuple[Change, ...]
    carried_to: str = ""


class SealedEpoch(msgspec.Struct, frozen=True):
    """One `EpochKeys` (msgpack), HPKE-sealed to the node (X25519, SHA-256, AES-128-GCM).

    HPKE info is `SEAL_INFO ‖ node_id`; `sealed` is enc ‖ ciphertext.
    """

    key_epoch: int
    sealed: bytes


class SealedFeedKey(msgspec.Struct, frozen=True):
    """A feed key (32 bytes), HPKE-sealed to the node as key epochs are."""

    version: int
    sealed: bytes


class KeyDelivery(msgspec.Struct, frozen=True, tag="keys", kw_only=True):
    """The key epochs that one node may hold now."""

    format: int
    log: str
    node_id: str
    version: int
    """Rises with every change of the set; never goes back."""
    issued_s: int
    expires_s: int
    epochs: tuple[SealedEpoch, ...]
    feed_keys: tuple[SealedFeedKey, ...] = ()
    carried_to: str = ""
    """As in `ChangeBatch`."""


Body = Root | ChangeBatch | KeyDelivery
