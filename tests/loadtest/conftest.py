"""Wallets and a target for load tests, without a city."""

import os

import pytest

from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.wallet import derive_wallet_keys
from edge.protocol.kh1 import SUITES, key_epoch_of, step_at
from edge.protocol.records import EpochKeys
from loadtest.data import CityData, GateLine, WalletKey, WalletLine

NOW = 1_820_900_002.0
STEP = step_at(NOW)


@pytest.fixture(scope="session")
def epoch() -> DerivedKeys:
    return DerivedKeys(EpochKeys(
        key_epoch=key_epoch_of(STEP), master=os.urandom(32), seal_private=os.urandom(32)))


@pytest.fixture(scope="session")
def ring(epoch) -> KeyRing:
    return KeyRing([epoch])


def wallet_line(epoch: DerivedKeys, number: int, holder: str = "") -> WalletLine:
    credential_id = number.to_bytes(16, "big")
    keys = [derive_wallet_keys(epoch, suite, credential_id) for suite in SUITES]
    return WalletLine(
        credential_id=credential_id.hex(), type="resident_id", holder=holder,
        keys=tuple(WalletKey(key_epoch=k.key_epoch, suite=k.suite, holder_key=k.holder_key,
                             alias=k.alias, seal_public=k.seal_public) for k in keys))


@pytest.fixture
def city_data(epoch) -> CityData:
    wallets = [wallet_line(epoch, n, "h0" if n % 2 else "") for n in range(400)]
    gates = [GateLine(gate_id=f"g{n}", credential=f"g{n}.secret") for n in range(3)]
    return CityData(wallets, gates, {"h0": [b"\xff\xd8face"]})
