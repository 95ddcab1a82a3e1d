"""What is sealed to one node: its key epochs, feed keys, tokens and bundles.

- HPKE (RFC 9180) base mode. With ML-KEM-768 beside X25519 where the node has such a key, so that
  what is recorded today isn't opened by a quantum computer later; else with X25519 alone.
- The public key says which: 32 bytes are X25519, 1,216 are ML-KEM-768 ‖ X25519. So does what is
  sealed: its encapsulated key alone is longer than anything that is sealed under X25519 here.
- A node that was enrolled with X25519 alone goes on with that: it can open both.
- Not here: how a node keeps its keys (edge.node_key), and what is sealed.
"""

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

X25519_BYTES, MLKEM_BYTES = 32, 1_184
HYBRID_BYTES = MLKEM_BYTES + X25519_BYTES
PUBLIC_BYTES = (X25519_BYTES, HYBRID_BYTES)
"""Lengths that a node's public key may have."""
SEAL_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
"""RFC 9180 base mode, as suite 11 and the delivery of keys use it. It stands here, and not beside
the keys of an epoch, because those load compiled kernels."""
HYBRID_SUITE = hpke.Suite(
    hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_HYBRID_ENC_BYTES = 1_088 + X25519_BYTES
_MLKEM_SEED_BYTES = 64

_PublicKey = X25519PublicKey | hpke.MLKEM768X25519PublicKey


class NodeSeal:
    """The private half: opens what is sealed to a node."""

    def __init__(
        self, classic: X25519PrivateKey,
        hybrid: tuple[MLKEM768PrivateKey, X25519PrivateKey] | None = None,
    ) -> None:
        """Take the X25519 key, and the two of the hybrid one where there is one."""
        self._classic, self._hybrid = classic, None
        self.public = classic.public_key().public_bytes_raw()
        """What others seal to."""
        if hybrid is not None:
            self._hybrid = hpke.MLKEM768X25519PrivateKey(*hybrid)
            self.public = b"".join(key.public_key().public_bytes_raw() for key in hybrid)

    @classmethod
    def derived(cls, classic: bytes, mlkem: bytes, x25519: bytes) -> "NodeSeal":
        """Make the keys of secrets that were derived for them: 32, 64 and 32 bytes.

        A library without ML-KEM gives a node with X25519 alone.
        """
        assert len(mlkem) == _MLKEM_SEED_BYTES
        alone = X25519PrivateKey.from_private_bytes(classic)
        try:
            pair = (MLKEM768PrivateKey.from_seed_bytes(mlkem),
                    X25519PrivateKey.from_private_bytes(x25519))
        except UnsupportedAlgorithm:
            return cls(alone)
        return cls(alone, pair)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Open what was sealed to this node.

        Raises:
            InvalidTag, ValueError: It was sealed to another, for something else, or altered.
        """
        if len(sealed) < _HYBRID_ENC_BYTES:
            return SEAL_SUITE.decrypt(sealed, self._classic, info=info)
        if self._hybrid is None:
            raise InvalidTag
        return HYBRID_SUITE.decrypt(sealed, self._hybrid, info=info)

    def __repr__(self) -> str:
        """Show no key."""
        return "NodeSeal(…)"


def seal_to_node(data: bytes, public: bytes, info: bytes) -> bytes:
    """Seal a secret, of a few hundred bytes at most, to a node's public key.

    Raises:
        ValueError: `public` isn't one.
    """
    assert len(data) < _HYBRID_ENC_BYTES // 2, "its length says how it is sealed"
    key = _public_key(public)
    if isinstance(key, X25519PublicKey):
        return SEAL_SUITE.encrypt(data, key, info=info)
    return HYBRID_SUITE.encrypt(data, key, info=info)


def check_public(public: bytes) -> None:
    """Demand a public key that can be sealed to.

    Raises:
        ValueError: It is none, or this library can't.
    """
    try:
        seal_to_node(b"", public, b"")
    except UnsupportedAlgorithm as error:
        raise ValueError("this library has no ML-KEM") from error


def _public_key(public: bytes) -> _PublicKey:
    if len(public) == X25519_BYTES:
        return X25519PublicKey.from_public_bytes(public)
    if len(public) != HYBRID_BYTES:
        raise ValueError("a node's public key has 32 or 1,216 bytes")
    return hpke.MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:MLKEM_BYTES]),
        X25519PublicKey.from_public_bytes(public[MLKEM_BYTES:]))
