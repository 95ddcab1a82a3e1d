"""The card: a credential that travels inside a sealed code, signed by its issuer for one day.

- A CWT (RFC 8392) in a COSE_Sign1: with it a node that never heard of the holder can judge code and
  face. Its form is docs/card.md.
- The tag of the code proves that this holder attached it; only the issuer's signature, the day and
  the credential's id make it a statement about this credential.
- The reference is rotated by a secret of this day and credential, which verifiers of that day
  derive and nobody else can (docs/adr/0012-cards-and-status-lists.md).
- A card that doesn't hold is `card_mismatch`, whatever is wrong with it.
- Not here: whether the credential stands (edge.hotpath.credential), and where status lists are.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.hotpath.holder import IDENTIFICATION, VERIFICATION, Probe
from edge.hotpath.keys import DerivedKeys, mac_sha256
from edge.hotpath.presentation import AuthenticPresentation
from edge.hotpath.reasons import Reason
from edge.hotpath.renewal import derive_rotation, protect
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol import cose
from edge.protocol.records import CredentialRecord, ReferenceRecord
from edge.protocol.steps import DAY_S

CARD_BYTES_MAX = 1_024
REFERENCE_BYTES = 128
"""Dimensions of the packs whose references fit into a card."""
CARD_SPACE = -1
"""Generation of a reference in a card's own space; never one of the node's."""
ISSUER, EXPIRES, ISSUED, ID, STATUS, BODY = 1, 4, 6, 7, 65535, -65537
"""Labels of the claims; `BODY` is of the range for private use."""
_PROTECTED = cose.protected_header()
_CONTEXT = b"kanhe/card/1"
_MISMATCH = verdict(Reason.CARD_MISMATCH)
_PURPOSES = (VERIFICATION, IDENTIFICATION)
_NOBODY = bytes(16)


class StatusRef(msgspec.Struct, frozen=True):
    """Where a credential's status is told: an entry of a status list, by the list's name."""

    uri: str
    index: int = msgspec.field(name="idx")


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a card says.

    Attributes:
        credential: As its issuer sees it, fields masked; it names no holder.
        reference: Of its holder, in the card's own space; None if it carries none.
        status: Where its status is told, None if nowhere.
    """

    credential: CredentialRecord
    reference: ReferenceRecord | None
    status: StatusRef | None

    def __repr__(self) -> str:
        """Show nothing that identifies a holder."""
        return "Card(…)"


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """The private claim: what CWT has no names for."""

    type: str
    valid_from_s: int
    valid_until_s: int | None
    fields: dict[str, str]
    pack: str
    reference: bytes
    enrolled_s: int
    reference_until_s: int | None
    purpose: int


class _Status(msgspec.Struct, frozen=True):
    status_list: StatusRef


class _Claims(msgspec.Struct, frozen=True):
    issuer: str
    expires_s: int
    issued_s: int
    credential_id: bytes
    body: _Body
    status: _Status | None = None


def make_card(
    card: Card, *, issuer: str, epoch: DerivedKeys, issued_s: int, key: Ed25519PrivateKey
) -> bytes:
    """Sign a card for one day.

    Args:
        card: What it is to say; the reference as its pack made it (generation 0).
        issuer: Name of the feed.
        epoch: The day that it is for.
        issued_s: Unix seconds.
        key: The issuer's for cards.
    """
    credential, reference = card.credential, card.reference
    pack, template, enrolled_s, until_s, purpose = "", b"", 0, None, 0
    if reference is not None:
        pack, enrolled_s, until_s = reference.pack, reference.created_s, reference.expires_s
        purpose = _PURPOSES.index(reference.purpose)
        template = _hidden(reference, epoch.card_key, credential.credential_id)
    claims: dict[int, object] = {
        ISSUER: issuer, EXPIRES: _end_of(epoch.key_epoch), ISSUED: issued_s,
        ID: credential.credential_id,
        BODY: [credential.type, credential.valid_from_s, credential.valid_until_s,
               credential.fields, pack, template, enrolled_s, until_s, purpose],
    }
    if card.status is not None:
        claims[STATUS] = {"status_list": {"idx": card.status.index, "uri": card.status.uri}}
    return cose.sign(key, _PROTECTED, cose.dump(claims), _CONTEXT)


def check_card(
    authentic: AuthenticPresentation, issuer: str, keys: Iterable[Ed25519PublicKey]
) -> Card | Verdict:
    """Judge the card of a genuine code.

    Args:
        authentic: Evidence of the code, with its card.
        issuer: Name of the feed whose cards count here.
        keys: Who may sign cards.

    Returns:
        What the card says, or `card_mismatch`.
    """
    if len(authentic.card) > CARD_BYTES_MAX:
        return _MISMATCH
    try:
        # 1. The issuer's signature, before anything inside is read.
        claims = cose.load_claims(cose.open_signed(authentic.card, keys, _PROTECTED, _CONTEXT))
        said = msgspec.convert({
            "issuer": claims.get(ISSUER), "expires_s": claims.get(EXPIRES),
            "issued_s": claims.get(ISSUED), "credential_id": claims.get(ID),
            "body": claims.get(BODY), "status": claims.get(STATUS),
        }, _Claims)
    except (cose.CoseError, msgspec.ValidationError):
        return _MISMATCH
    # 2. Its validity: it is for the day of the code, whose step is in the window already.
    if said.issuer != issuer or said.expires_s != _end_of(authentic.key_epoch):
        return _MISMATCH
    # 3. It names this very credential.
    if said.credential_id != authentic.credential_id:
        return _MISMATCH
    body = said.body
    if len(body.reference) not in {0, REFERENCE_BYTES} or not 0 <= body.purpose < len(_PURPOSES):
        return _MISMATCH
    return Card(
        credential=CredentialRecord(
            credential_id=said.credential_id, holder_id=_NOBODY, type=body.type,
            valid_from_s=body.valid_from_s, valid_until_s=body.valid_until_s,
            fields=body.fields, updated_s=said.issued_s),
        reference=_reference(body),
        status=said.status.status_list if said.status else None,
    )


def probe_for_card(probe: Probe, epoch: DerivedKeys, credential_id: bytes) -> Probe:
    """Bring a probe into the space of a credential's card of a day; takes milliseconds."""
    if len(probe.template) != REFERENCE_BYTES:
        return probe
    rotation = derive_rotation(
        card_secret(epoch.card_key, credential_id), probe.pack, REFERENCE_BYTES)
    coarse, fine = protect(probe.template, rotation)
    return msgspec.structs.replace(probe, template=coarse, fine=fine, generation=CARD_SPACE)


def card_secret(card_key: bytes, credential_id: bytes) -> bytes:
    """Give the secret of the rotation of one credential's card on one day, 32 bytes."""
    return mac_sha256(card_key, credential_id)


def _hidden(reference: ReferenceRecord, card_key: bytes, credential_id: bytes) -> bytes:
    template = np.frombuffer(reference.template, np.int8)
    assert len(template) == REFERENCE_BYTES, "a longer reference doesn't fit into a card"
    rotation = derive_rotation(
        card_secret(card_key, credential_id), reference.pack, REFERENCE_BYTES)
    return protect(template, rotation)[0].tobytes()


def _reference(body: _Body) -> ReferenceRecord | None:
    if not body.reference:
        return None
    return ReferenceRecord(
        holder_id=_NOBODY, pack=body.pack, template=body.reference, created_s=body.enrolled_s,
        expires_s=body.reference_until_s, purpose=_PURPOSES[body.purpose], generation=CARD_SPACE)


def _end_of(key_epoch: int) -> int:
    """Give the first second after a day."""
    return (key_epoch + 1) * DAY_S
