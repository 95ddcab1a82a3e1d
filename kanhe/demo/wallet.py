"""The demo's phones: paired by a one-time code, making real rotating codes.

- Keys come from the central platform over HTTP, as they would to a phone.
"""

import base64
from collections.abc import Mapping
from typing import Any

from edge.hotpath.wallet import WalletKeys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of


class Wallet:
    """One holder's wallet."""

    def __init__(self, delivered: Mapping[str, Any]) -> None:
        """Take what `GET /v1/wallet` gave."""
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
