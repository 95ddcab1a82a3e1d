"""Makes feed metadata with real signatures: honest by default, crooked on request.

- The honest half is what the central platform does; the crooked half is every parameter
  that a caller may set to something that the platform would not.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.hotpath.node_seal import seal_to_node
from edge.protocol.feed import (
    FORMAT,
    Body,
    Change,
    ChangeBatch,
    Envelope,
    KeyDelivery,
    RoleKeys,
    Root,
    SealedEpoch,
    Signature,
    key_id,
    root_fingerprint,
    seal_info,
    signed_bytes,
)
from edge.protocol.records import EpochKeys

LOG = "kanhe-test"
ROOT_LIFE_S = 365 * 86_400
LIFE_S = 120
SECRET = "ONE-TIME-CODE"


class Keys:
    """The private keys of one root, by role."""

    def __init__(self, *, threshold: int = 1) -> None:
        self.threshold = threshold
        self.root = [Ed25519PrivateKey.generate() for _ in range(threshold)]
        self.changes = [Ed25519PrivateKey.generate()]
        self.keys = [Ed25519PrivateKey.generate()]
        self.snapshot = [Ed25519PrivateKey.generate()]
        self.timestamp = [Ed25519PrivateKey.generate()]
        self.cards = [Ed25519PrivateKey.generate()]
        self.status = [Ed25519PrivateKey.generate()]

    def roles(self) -> dict[str, list[Ed25519PrivateKey]]:
        return {"root": self.root, "changes": self.changes, "keys": self.keys,
                "snapshot": self.snapshot, "timestamp": self.timestamp,
                "cards": self.cards, "status": self.status}


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def signature(key: Ed25519PrivateKey, body: bytes, *, signed: bytes | None = None) -> Signature:
    covered = signed_bytes(body) if signed is None else signed
    return Signature(key_id(public_of(key)), key.sign(covered))


def envelope(body: Body | bytes, *signers: Ed25519PrivateKey) -> bytes:
    data = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
    return msgspec.msgpack.encode(
        Envelope(data, tuple(signature(key, data) for key in signers)))


def body_of(data: bytes) -> bytes:
    return msgspec.msgpack.decode(data, type=Envelope).body


def root_body(
    keys: Keys, *, version: int = 1, issued_s: int = 0, expires_s: int | None = None,
    log: str = LOG,
) -> Root:
    by_id = {
        key_id(public_of(key)): public_of(key)
        for role in keys.roles().values() for key in role
    }
    return Root(
        format=FORMAT, log=log, version=version, issued_s=issued_s,
        expires_s=issued_s + ROOT_LIFE_S if expires_s is None else expires_s, keys=by_id,
        roles={
            role: RoleKeys(
                tuple(key_id(public_of(key)) for key in members),
                keys.threshold if role == "root" else 1)
            for role, members in keys.roles().items()
        },
    )


def code_for(root: bytes, secret: str = SECRET) -> str:
    return f"{secret}-{root_fingerprint(body_of(root))}"


class Forge:
    """One platform's keys, and the metadata that they sign."""

    def __init__(self, now_s: int, *, log: str = LOG, threshold: int = 1) -> None:
        self.now_s = now_s
        self.log = log
        self.keys = Keys(threshold=threshold)
        self.version = 1
        self.roots = [self.root()]

    @property
    def code(self) -> str:
        return code_for(self.roots[0])

    def root(self, **differently: object) -> bytes:
        settings: dict[str, object] = {
            "version": self.version, "issued_s": self.now_s, "log": self.log} | differently
        return envelope(root_body(self.keys, **settings), *self.keys.root)  # type: ignore[arg-type]

    def rotate_root(self, *, keep: tuple[str, ...] = (), **differently: object) -> bytes:
        """Replace every key but those of the roles to keep; signed by old and new."""
        before, self.keys = self.keys, Keys(threshold=self.keys.threshold)
        for role in keep:
            setattr(self.keys, role, getattr(before, role))
        self.version += 1
        settings: dict[str, object] = {
            "version": self.version, "issued_s": self.now_s, "log": self.log} | differently
        body = root_body(self.keys, **settings)  # type: ignore[arg-type]
        signers = [*before.root, *(key for key in self.keys.root if key not in before.root)]
        self.roots.append(envelope(body, *signers))
        return self.roots[-1]

    def batch(
        self, first: int = 0, *changes: Change, head: int | None = None,
        signers: list[Ed25519PrivateKey] | None = None, **differently: object,
    ) -> bytes:
        return envelope(
            self.batch_body(first, *changes, head=head, **differently),
            *(self.keys.changes if signers is None else signers))

    def batch_body(
        self, first: int = 0, *changes: Change, head: int | None = None, **differently: object
    ) -> ChangeBatch:
        honest = ChangeBatch(
            format=FORMAT, log=self.log, first=first,
            head=first + len(changes) if head is None else head,
            issued_s=self.now_s, expires_s=self.now_s + LIFE_S, changes=changes)
        return msgspec.structs.replace(honest, **differently)

    def delivery(
        self, node_id: str, seal_public: bytes, *epochs: EpochKeys, version: int = 1,
        signers: list[Ed25519PrivateKey] | None = None, **differently: object,
    ) -> bytes:
        honest = KeyDelivery(
            format=FORMAT, log=self.log, node_id=node_id, version=version,
            issued_s=self.now_s, expires_s=self.now_s + LIFE_S,
            epochs=tuple(sealed(keys, node_id, seal_public) for keys in epochs))
        return envelope(
            msgspec.structs.replace(honest, **differently),
            *(self.keys.keys if signers is None else signers))


def sealed(keys: EpochKeys, node_id: str, seal_public: bytes) -> SealedEpoch:
    box = seal_to_node(msgspec.msgpack.encode(keys), seal_public, seal_info(node_id))
    return SealedEpoch(keys.key_epoch, box)
