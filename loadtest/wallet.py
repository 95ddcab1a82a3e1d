"""The wallet simulator: genuine rotating codes, each shown once.

- Codes are made by KH1's layout (`edge.protocol.kh1`) with the keys that wallets were given; the
  simulator holds no master.
- A wallet shows one code a step; who needs more codes a second needs more wallets.
"""

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from edge.protocol.kh1 import (
    SEAL_CONTEXT,
    SUITE_COMPACT,
    SUITE_COMPACT_NATIONAL,
    SUITE_SEALED,
    TAG_BYTES,
    TAG_CONTEXT,
    SealedInner,
    encode_text,
    key_epoch_of,
    pack_compact_head,
    pack_sealed_head,
    pack_sealed_inner,
)
from edge.protocol.steps import STEP_S
from loadtest.data import WalletKey, WalletLine
from loadtest.errors import LoadTestError

_HASHES = {SUITE_COMPACT: "sha256", SUITE_COMPACT_NATIONAL: "sm3"}
_SEAL = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
RESERVE = 1.2
_LOOKS_MAX = 64
"""Wallets looked at for one code; they are taken in turn, so the first nearly always serves."""


class Wallet:
    """One credential on one phone."""

    __slots__ = ("_id", "_keys", "holder", "shown")

    def __init__(self, line: WalletLine, suite: int) -> None:
        """Take the keys of one suite."""
        self._id = bytes.fromhex(line.credential_id)
        self._keys = {key.key_epoch: key for key in line.keys if key.suite == suite}
        self.holder = line.holder
        self.shown = 0

    def code(self, step: int) -> str:
        """Give the text that the phone shows in a step.

        Raises:
            LoadTestError: It has no key for that day and suite.
        """
        key = self._keys.get(key_epoch_of(step))
        if key is None:
            raise LoadTestError(
                "the wallets hold no keys of this suite for today: make the data anew "
                "(kanhe loadtest data)")
        self.shown = step
        if key.suite == SUITE_SEALED:
            return self._sealed(key, step)
        head = pack_compact_head(key.suite, step, key.alias)
        tag = hmac.digest(key.holder_key, TAG_CONTEXT + head, _HASHES[key.suite])[:TAG_BYTES]
        return encode_text(head + tag)

    def _sealed(self, key: WalletKey, step: int) -> str:
        head = pack_sealed_head(key.key_epoch)
        tagged = TAG_CONTEXT + head[:1] + step.to_bytes(4, "big") + self._id
        tag = hmac.digest(key.holder_key, tagged, "sha256")[:TAG_BYTES]
        inner = pack_sealed_inner(SealedInner(step, self._id, tag, b""))
        public = X25519PublicKey.from_public_bytes(key.seal_public)
        return encode_text(head + _SEAL.encrypt(inner, public, SEAL_CONTEXT + head))


class Crowd:
    """Phones that take turns."""

    def __init__(self, wallets: Sequence[Wallet]) -> None:
        """Begin with the first."""
        self._wallets = wallets
        self._turn = 0

    def __len__(self) -> int:
        """Count the wallets."""
        return len(self._wallets)

    def next(self, step: int) -> Wallet | None:
        """Give a wallet that hasn't shown this step yet, None if there is none at hand."""
        for _ in range(min(_LOOKS_MAX, len(self._wallets))):
            wallet = self._wallets[self._turn]
            self._turn = (self._turn + 1) % len(self._wallets)
            if wallet.shown < step:
                return wallet
        return None


def rate_borne(wallets: int) -> float:
    """Give how many codes a second so many wallets show, each once a step, with some in reserve."""
    return wallets / (STEP_S * RESERVE)
