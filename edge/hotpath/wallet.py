"""The wallet's side of KH1: what a holder is given, and the code made of it.

- The issuer derives a wallet's keys a day or two ahead; a wallet holds no master.
- Used by the issuer, the demo's phones and the tests; a verifier never makes a code.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from edge.hotpath.keys import DerivedKeys, mac_sha256, mac_sm3
from edge.hotpath.node_seal import SEAL_SUITE
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


class WalletKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a wallet holds of one credential for one key epoch and suite.

    Attributes:
        key_epoch: The only day it can make codes for.
        suite: The suite it can make codes of.
        credential_id: 16 bytes; shown only inside a sealed code.
        holder_key: 32 bytes.
        alias: 16 bytes for compact suites, empty for sealed.
        seal_public: 32 bytes for sealed, empty for compact suites.
    """

    key_epoch: int
    suite: int
    credential_id: bytes
    holder_key: bytes
    alias: bytes = b""
    seal_public: bytes = b""

    def __repr__(self) -> str:
        """Show no key."""
        return f"WalletKeys(key_epoch={self.key_epoch}, suite={self.suite:#04x})"


def derive_wallet_keys(epoch: DerivedKeys, suite: int, credential_id: bytes) -> WalletKeys:
    """Derive what the issuer gives a wallet for one day and suite."""
    if suite == SUITE_SEALED:
        return WalletKeys(
            key_epoch=epoch.key_epoch, suite=suite, credential_id=credential_id,
            holder_key=epoch.compact[SUITE_COMPACT].holder_key(credential_id),
            seal_public=epoch.seal_public,
        )
    compact = epoch.compact[suite]
    return WalletKeys(
        key_epoch=epoch.key_epoch, suite=suite, credential_id=credential_id,
        holder_key=compact.holder_key(credential_id),
        alias=compact.seal_alias(credential_id),
    )


def make_presentation(keys: WalletKeys, step: int, card: bytes = b"") -> str:
    """Make the text that a phone shows in one step.

    Args:
        keys: Of the step's key epoch.
        step: Time step of 5 s.
        card: Signed offline credential, sealed codes only.

    Raises:
        ValueError: The step belongs to another day, or a compact code can't carry a card.
    """
    if key_epoch_of(step) != keys.key_epoch:
        raise ValueError(f"step {step} isn't in key epoch {keys.key_epoch}")
    if keys.suite == SUITE_SEALED:
        return _make_sealed(keys, step, card)
    if card:
        raise ValueError("only a sealed code carries a card")
    mac = mac_sm3 if keys.suite == SUITE_COMPACT_NATIONAL else mac_sha256
    head = pack_compact_head(keys.suite, step, keys.alias)
    return encode_text(head + mac(keys.holder_key, TAG_CONTEXT + head)[:TAG_BYTES])


def _make_sealed(keys: WalletKeys, step: int, card: bytes) -> str:
    head = pack_sealed_head(keys.key_epoch)
    tagged = TAG_CONTEXT + head[:1] + step.to_bytes(4, "big") + keys.credential_id + card
    inner = SealedInner(
        step=step, credential_id=keys.credential_id,
        tag=mac_sha256(keys.holder_key, tagged)[:TAG_BYTES], card=card,
    )
    public = X25519PublicKey.from_public_bytes(keys.seal_public)
    return encode_text(
        head + SEAL_SUITE.encrypt(pack_sealed_inner(inner), public, SEAL_CONTEXT + head)
    )
