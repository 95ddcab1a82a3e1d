"""Wallets: paired once by a code, given keys a day or two ahead."""

import base64
import secrets

import msgspec
from sqlalchemy import select

from central.epochs import load_epochs, today
from central.errors import Unauthorised, Unknown
from central.nodes import hash_secret, make_code, spend_code
from central.registry import parse_id, record_of
from central.schema import Credential, Holder, Wallet
from central.store import Transaction
from edge.hotpath.disclosure import mask
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import derive_wallet_keys
from edge.protocol.kh1 import SUITES
from edge.protocol.records import Mask

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
            {
                name: mask(value, _MASKS[name])
                for name, value in record_of(tx, row).fields.items() if name in _MASKS
            },
            tuple(_keys(epoch, suite, row.id) for epoch in epochs for suite in SUITES),
        )
        for row in rows
    ]


def _keys(epoch: DerivedKeys, suite: int, credential_id: bytes) -> WalletEpoch:
    keys = derive_wallet_keys(epoch, suite, credential_id)
    encoded = (keys.holder_key, keys.alias, keys.seal_public)
    return WalletEpoch(
        keys.key_epoch, suite, *(base64.b64encode(part).decode() for part in encoded)
    )
