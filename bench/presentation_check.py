"""`presentation-check`: judging one compact code against the crypto it can't do without.

- Ours: `check_presentation`, suite 01, text to evidence.
- Theirs: two HMAC-SHA-256 of the same lengths and one AES-256 block through a kept
  context.
- Every code is another credential's, so that nothing per holder can be cached.
"""

import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench.harness import Result, interleave
from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.presentation import (
    AuthenticPresentation,
    DriftWindow,
    check_presentation,
)
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of, step_at
from edge.protocol.records import EpochKeys

NAME = "presentation-check"
CODES = 10_000
ROUNDS = 31
NOW = 1_820_900_002.0


def run(small: bool) -> Result:
    """Measure; small keeps the number of codes and cuts the rounds."""
    step = step_at(NOW)
    epoch = DerivedKeys(
        EpochKeys(
            key_epoch=key_epoch_of(step), master=os.urandom(32), seal_private=os.urandom(32)
        )
    )
    keys, window = KeyRing([epoch]), DriftWindow()
    codes = [
        make_presentation(derive_wallet_keys(epoch, SUITE_COMPACT, os.urandom(16)), step)
        for _ in range(CODES)
    ]
    assert all(
        isinstance(check_presentation(code, NOW, keys, window), AuthenticPresentation)
        for code in codes
    )

    def _ours() -> None:
        for code in codes:
            check_presentation(code, NOW, keys, window)

    block = Cipher(algorithms.AES(os.urandom(32)), modes.ECB()).decryptor().update
    key, inner, outer = os.urandom(32), os.urandom(16), os.urandom(30)
    aliases = [os.urandom(16) for _ in range(CODES)]
    digest = hmac.digest

    def _theirs() -> None:
        for alias in aliases:
            block(alias)
            digest(key, inner, "sha256")
            digest(key, outer, "sha256")

    rounds = 3 if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, CODES)
    return Result(
        measure=NAME, ours=round(ours_s * 1e6, 3), theirs=round(theirs_s * 1e6, 3), unit="us",
        ratio=round(ours_s / theirs_s, 3),
        against="two hmac.digest sha256 of the same lengths + one AES-256 block, kept context",
        n=CODES * rounds, settings={"suite": "01", "codes": CODES, "rounds": rounds},
    )
