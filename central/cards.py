"""Cards: a holder's credentials as signed statements of one day, for sealed codes.

- One card a credential and day, for the days that the wallet has keys for; only for a credential
  that is valid now. The wallet renews them with its keys, so none speaks for long.
- A card holds what the wallet shows, masked alike, and the reference only with the holder's consent
  and where it fits (128 dimensions).
- It names no region: where it is shown is nobody's choice but its holder's.
- Making one takes milliseconds of a processor: drafts are made inside the transaction, cards
  outside of it.
- Not here: a card's form (edge.hotpath.card).
"""

import base64

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from central import consents, statuslists
from central.epochs import load_epochs, today
from central.keys import PlatformKeys
from central.registry import record_of
from central.roots import root_of
from central.schema import Credential, Photograph, Wallet
from central.store import Transaction
from central.wallets import shown_fields
from edge.hotpath.card import REFERENCE_BYTES, Card, StatusRef, make_card
from edge.hotpath.keys import DerivedKeys
from edge.protocol.feed import list_uri
from edge.protocol.records import EpochKeys, ReferenceRecord, Status

SHOWN_BYTES_MAX = 556
"""Longest card whose code the wallet still draws: 970 characters, version 20, correction M."""


class CardDelivered(msgspec.Struct, frozen=True):
    """A card for one day; base64."""

    credential_id: str
    key_epoch: int
    card: str


class Drafts(msgspec.Struct, frozen=True):
    """What cards are to be made of."""

    issued_s: int
    epochs: list[EpochKeys]
    cards: list[Card]


def role_key(keys: PlatformKeys, root: bytes, role: str) -> Ed25519PrivateKey | None:
    """Give the key of a role if the root names it: what nobody believes isn't signed."""
    return keys.signing[role] if role in root_of(root).roles else None


def draft(tx: Transaction, wallet: Wallet, *, log: str, pack: str, ahead_days: int) -> Drafts:
    """Gather what the cards of a wallet are to say."""
    now = today(tx.now_s)
    rows = tx.session.scalars(select(Credential).where(
        Credential.holder_id == wallet.holder_id, Credential.status == Status.VALID.value))
    reference = _reference(tx, wallet.holder_id, pack)
    cards = []
    for row in rows.all():
        entry = statuslists.allot(tx, row.id)
        record = msgspec.structs.replace(record_of(tx, row, ""), fields=shown_fields(tx, row))
        where = StatusRef(list_uri(log, entry.number), entry.place)
        cards.append(Card(credential=record, reference=reference, status=where))
    return Drafts(tx.now_s, load_epochs(tx, now, now + ahead_days), cards)


def make(drafts: Drafts, log: str, key: Ed25519PrivateKey) -> list[CardDelivered]:
    """Sign the cards of drafts; takes some milliseconds each."""
    made = []
    for epoch in map(DerivedKeys, drafts.epochs):
        for card in drafts.cards:
            data = make_card(card, issuer=log, epoch=epoch, issued_s=drafts.issued_s, key=key)
            if len(data) > SHOWN_BYTES_MAX:
                # The face counts for more than words on a screen.
                plain = msgspec.structs.replace(card.credential, fields={})
                data = make_card(
                    msgspec.structs.replace(card, credential=plain), issuer=log, epoch=epoch,
                    issued_s=drafts.issued_s, key=key)
            made.append(CardDelivered(
                card.credential.credential_id.hex(), epoch.key_epoch,
                base64.b64encode(data).decode()))
    return made


def _reference(tx: Transaction, holder_id: bytes, pack: str) -> ReferenceRecord | None:
    row = tx.session.get(Photograph, (holder_id, pack))
    if row is None or not consents.is_given(tx, holder_id, consents.FACE_VERIFICATION):
        return None
    template = tx.keys.open(f"photograph/{holder_id.hex()}/{pack}", row.template)
    if len(template) != REFERENCE_BYTES:
        return None
    return consents.reference_of(tx, holder_id, pack, template, row.created_s, "")
