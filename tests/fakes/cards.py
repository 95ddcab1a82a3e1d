"""Cards and status lists with real signatures, for one credential of a small city."""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.hotpath.card import Card, StatusRef, make_card
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.statuslist import VALUES, StatusList, pack
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.feed import list_uri
from edge.protocol.kh1 import SUITE_SEALED
from edge.protocol.records import CredentialRecord, EpochKeys, ReferenceRecord, Status
from tests.fakes.ports import PACK, template_of

LOG = "l"
KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
URI, INDEX = list_uri(LOG, 0), 5


def credential(credential_id: bytes, **differently: object) -> CredentialRecord:
    honest = CredentialRecord(
        credential_id=credential_id, holder_id=bytes(16), type="resident_id", valid_from_s=0,
        valid_until_s=None, fields={"name": "马**"})
    return msgspec.structs.replace(honest, **differently)


def reference(face: int, **differently: object) -> ReferenceRecord:
    honest = ReferenceRecord(
        holder_id=bytes([2] * 16), pack=PACK, template=template_of(face).tobytes(), created_s=0)
    return msgspec.structs.replace(honest, **differently)


def card(
    record: CredentialRecord, face: ReferenceRecord | None, epoch: EpochKeys, issued_s: int, *,
    key: Ed25519PrivateKey = KEY, issuer: str = LOG,
    status: StatusRef | None = StatusRef(URI, INDEX),  # noqa: B008 - frozen
) -> bytes:
    said = Card(credential=record, reference=face, status=status)
    return make_card(said, issuer=issuer, epoch=DerivedKeys(epoch), issued_s=issued_s, key=key)


def code(credential_id: bytes, step: int, epoch: EpochKeys, card: bytes = b"") -> str:
    keys = derive_wallet_keys(DerivedKeys(epoch), SUITE_SEALED, credential_id)
    return make_presentation(keys, step, card)


def status_list(status: Status, issued_s: int, *, life_s: int = 86_400) -> StatusList:
    values = [0] * 16
    values[INDEX] = VALUES[status]
    return StatusList(
        uri=URI, bits=2, statuses=pack(values, 2), issued_s=issued_s,
        expires_s=issued_s + life_s, ttl_s=300)
