"""Wallets: paired once by a code, given keys a day or two ahead."""

import base64
import secrets

import msgspec
from sqlalchemy import select

from central import consents, history, policies
from central.consents import ConsentShown
from central.epochs import load_epochs, today
from central.errors import Unauthorised, Unknown
from central.nodes import hash_secret, make_code, spend_code
from central.registry import NewHolder, fields_of, parse_id
from central.schema import Credential, Holder, Wallet
from central.store import Transaction
from edge.hotpath.disclosure import mask
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.reasons import Reason
from edge.hotpath.wallet import derive_wallet_keys
from edge.hotpath.words import message_for
from edge.protocol.kh1 import SUITES
from edge.protocol.records import Mask, Words

VISITS_PAGE = 30

_MASKS: dict[str, Mask] = {
    "name": "name", "owner": "name", "id_number": "id_number", "licence_number": "id_number",
    "plate_number": "full", "vehicle_class": "full",
}
"""Fields that a wallet shows on its cards, and how."""


class WalletEpoch(msgspec.Struct, frozen=True):
    """Keys for one day and suite; binary as base64."""

    key_epoch: int
    suite: int
    holder_key: str
    alias: str
    seal_public: str


class WalletDelivery(msgspec.Struct, frozen=True):
    """Everything a wallet is given."""

    unix_s: float
    name: str
    credentials: list["WalletCredential"]
    consents: list[ConsentShown]


class Visit(msgspec.Struct, frozen=True):
    """One verification of an own credential: where, when, with what result."""

    at_ms: int
    where: str
    scene: Words
    credential_type: str
    decision: str
    message: Words


class WalletHistory(msgspec.Struct, frozen=True):
    """Own verifications, the newest first; `older` continues them."""

    visits: list[Visit]
    older: str


class WalletCredential(msgspec.Struct, frozen=True):
    """One card of a wallet."""

    credential_id: str
    type: str
    status: str
    valid_until_s: int | None
    fields: dict[str, str]
    epochs: tuple[WalletEpoch, ...]


def wallet_code(tx: Transaction, holder_id: str, life_s: int) -> str:
    """Make a pairing code for a holder's wallet."""
    holder = parse_id(holder_id, "holder")
    if tx.session.get(Holder, holder) is None:
        raise Unknown("there is no such holder")
    tx.act("wallet.code", holder_id)
    return make_code(tx, "wallet", holder, life_s)


def pair(tx: Transaction, code: str) -> tuple[str, str]:
    """Pair a wallet; give its token and the holder's id."""
    token = secrets.token_urlsafe(32)
    holder, _ = spend_code(tx, "wallet", code, secrets.token_bytes(16))
    tx.session.add(Wallet(token_hash=hash_secret(token), holder_id=holder, paired_s=tx.now_s))
    tx.act("wallet.pair", holder.hex(), who="holder")
    return token, holder.hex()


def wallet_of_token(tx: Transaction, token: str) -> Wallet:
    """Find the wallet of a token.

    Raises:
        Unauthorised: There is none.
    """
    wallet = tx.session.get(Wallet, hash_secret(token))
    if wallet is None:
        raise Unauthorised("unknown wallet")
    return wallet


def cards(tx: Transaction, wallet: Wallet, ahead_days: int) -> list[WalletCredential]:
    """Give a wallet its credentials with keys for the days ahead."""
    now = today(tx.now_s)
    epochs = [DerivedKeys(keys) for keys in load_epochs(tx, now, now + ahead_days)]
    rows = tx.session.scalars(select(Credential).where(Credential.holder_id == wallet.holder_id))
    return [
        WalletCredential(
            row.id.hex(), row.type, row.status, row.valid_until_s,
            shown_fields(tx, row),
            tuple(_keys(epoch, suite, row.id) for epoch in epochs for suite in SUITES),
        )
        for row in rows
    ]


def shown_fields(tx: Transaction, row: Credential) -> dict[str, str]:
    """Give the fields of a credential that a wallet shows, masked."""
    return {
        name: mask(value, _MASKS[name])
        for name, value in fields_of(tx, row).items() if name in _MASKS
    }


def deliver(tx: Transaction, wallet: Wallet, ahead_days: int, unix_s: float) -> WalletDelivery:
    """Give a wallet its cards, keys and consents."""
    holder = tx.session.get_one(Holder, wallet.holder_id)
    plain = msgspec.json.decode(
        tx.keys.open(f"holder/{holder.id.hex()}", holder.sealed), type=NewHolder)
    return WalletDelivery(
        unix_s, mask(plain.name, "name"), cards(tx, wallet, ahead_days),
        consents.list_consents(tx, wallet.holder_id))


def visits(tx: Transaction, wallet: Wallet, before: str) -> WalletHistory:
    """Give what was verified, where and when."""
    page = history.of_holder(tx, wallet.holder_id, before, VISITS_PAGE)
    titles = {policy.scene: policy.title for policy in policies.list_policies(tx)}
    return WalletHistory([
        Visit(row.at_ms, row.gate, titles.get(row.scene, Words(row.scene, row.scene)),
              row.credential_type, row.decision, message_for(Reason(row.reason), ""))
        for row in page.rows
    ], page.older)


def unpair(tx: Transaction, wallet: Wallet) -> None:
    """Forget a wallet: it gets nothing any more."""
    tx.session.delete(wallet)
    tx.act("wallet.unpair", wallet.holder_id.hex(), who="holder")


def _keys(epoch: DerivedKeys, suite: int, credential_id: bytes) -> WalletEpoch:
    keys = derive_wallet_keys(epoch, suite, credential_id)
    encoded = (keys.holder_key, keys.alias, keys.seal_public)
    return WalletEpoch(
        keys.key_epoch, suite, *(base64.b64encode(part).decode() for part in encoded)
    )
