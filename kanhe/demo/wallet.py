"""The demo's phones: paired by a one-time code, making real rotating codes.

- Keys come from the central platform over HTTP, as they would to a phone.
"""

import base64
from collections.abc import Mapping
from typing import Any

from edge.hotpath.wallet import WalletKeys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT, SUITE_SEALED, key_epoch_of


class Wallet:
    """One holder's wallet."""

    def __init__(self, delivered: Mapping[str, Any]) -> None:
        """Take what `GET /v1/wallet` gave, and `GET /v1/wallet/cards` where it was asked."""
        self._cards: dict[tuple[str, int], bytes] = {}
        types = {card["credential_id"]: card["type"] for card in delivered["credentials"]}
        for signed in delivered.get("cards", ()):
            key = types[signed["credential_id"]], signed["key_epoch"]
            self._cards[key] = base64.b64decode(signed["card"])
        self._keys: dict[tuple[str, int, int], WalletKeys] = {}
        for card in delivered["credentials"]:
            for epoch in card["epochs"]:
                keys = WalletKeys(
                    key_epoch=epoch["key_epoch"], suite=epoch["suite"],
                    credential_id=bytes.fromhex(card["credential_id"]),
                    holder_key=base64.b64decode(epoch["holder_key"]),
                    alias=base64.b64decode(epoch["alias"]),
                    seal_public=base64.b64decode(epoch["seal_public"]),
                )
                self._keys[card["type"], keys.key_epoch, keys.suite] = keys

    def code(self, type_: str, step: int, suite: int = SUITE_COMPACT) -> str:
        """Give the text that the phone shows for a credential in one step."""
        return make_presentation(self._keys[type_, key_epoch_of(step), suite], step)

    def code_with_card(self, type_: str, step: int) -> str:
        """Give the sealed text of one step with the credential's card of the day in it."""
        day = key_epoch_of(step)
        return make_presentation(
            self._keys[type_, day, SUITE_SEALED], step, self._cards[type_, day])
