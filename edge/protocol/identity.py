"""A node's identity at the central platform: a token that expires, renewed by proof of its key.

- The node signs the platform's challenge with the Ed25519 key that it enrolled with. The new token
  comes sealed to its sealing key (HPKE), so who relays or records the calls gains nothing.
- Both signature and seal name log and node: neither is of use anywhere else.
- Not here: who may renew (central.identity), and when (edge.sync.identity).
"""

import msgspec

CONTEXT = b"kanhe/node/renew/1\x00"
SEAL_INFO = b"kanhe/node/token/1"


class ChallengeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for something fresh to sign."""

    node_id: str


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be signed; opaque to the node, good for a minute."""

    challenge: bytes


class RenewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signed challenge (base64 in JSON)."""

    node_id: str
    challenge: bytes
    signature: bytes


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """The new token, sealed to the node, and when it ends.

    Attributes:
        sealed: enc ‖ ciphertext of the token, base64 in JSON.
        expires_s: Unix seconds by the platform's clock.
        unix_s: The platform's clock now.
    """

    sealed: bytes
    expires_s: int
    unix_s: float


def renew_bytes(log: str, node_id: str, challenge: bytes) -> bytes:
    """Give the bytes that a node signs."""
    return CONTEXT + msgspec.msgpack.encode((log, node_id, challenge))


def token_info(log: str, node_id: str) -> bytes:
    """Give the HPKE info that binds a sealed token to one node of one log."""
    return SEAL_INFO + msgspec.msgpack.encode((log, node_id))
