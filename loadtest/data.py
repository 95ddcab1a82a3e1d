"""The files a load test reads: wallets with their keys, gates, faces.

- `wallets.jsonl` and `gates.jsonl`, one JSON object a line; `faces/HOLDER-*.jpg`.
- They hold keys and gate credentials of a test city: they are read by their owner only and never
  printed. `kanhe loadtest data` makes them.
"""

from pathlib import Path
from typing import TypeVar

import msgspec

from loadtest.errors import LoadTestError

WALLETS, GATES, FACES = "wallets.jsonl", "gates.jsonl", "faces"
LINES_MAX = 1_000_000
FACES_A_HOLDER_MAX = 8
_T = TypeVar("_T")


class WalletKey(msgspec.Struct, frozen=True, kw_only=True):
    """Keys of one credential for one day and suite, as a wallet is given them; binary as base64.

    Attributes:
        key_epoch: UTC day number.
        suite: 1, 2 or 17 (sealed).
        holder_key: 32 bytes.
        alias: 16 bytes, empty for sealed.
        seal_public: 32 bytes for sealed, else empty.
    """

    key_epoch: int
    suite: int
    holder_key: bytes
    alias: bytes = b""
    seal_public: bytes = b""

    def __repr__(self) -> str:
        """Show no key."""
        return f"WalletKey(key_epoch={self.key_epoch}, suite={self.suite})"


class WalletLine(msgspec.Struct, frozen=True, kw_only=True):
    """One credential in a wallet; `holder` names the faces that go with it."""

    credential_id: str
    type: str
    keys: tuple[WalletKey, ...]
    holder: str = ""


class GateLine(msgspec.Struct, frozen=True, kw_only=True):
    """One gate with its bearer credential."""

    gate_id: str
    credential: str

    def __repr__(self) -> str:
        """Show no credential."""
        return f"GateLine(gate_id={self.gate_id!r})"


class CityData(msgspec.Struct, frozen=True):
    """Everything of a folder; `faces` by holder, encoded images."""

    wallets: list[WalletLine]
    gates: list[GateLine]
    faces: dict[str, list[bytes]]

    def __repr__(self) -> str:
        """Count, don't show."""
        return f"CityData({len(self.wallets)} wallets, {len(self.gates)} gates)"


def load_data(folder: Path) -> CityData:
    """Read a folder.

    Raises:
        LoadTestError: A file is missing, damaged or empty.
    """
    faces: dict[str, list[bytes]] = {}
    for path in sorted((folder / FACES).glob("*.jpg")):
        holder = faces.setdefault(path.stem.rpartition("-")[0], [])
        if len(holder) < FACES_A_HOLDER_MAX:
            holder.append(path.read_bytes())
    return CityData(
        _lines(folder / WALLETS, WalletLine), _lines(folder / GATES, GateLine), faces)


def _lines(path: Path, kind: type[_T]) -> list[_T]:
    try:
        data = path.read_bytes()
        found = msgspec.json.Decoder(kind).decode_lines(data)
    except OSError as error:
        raise LoadTestError(
            f"{path}: {error.strerror}; `kanhe loadtest data` makes such a folder") from error
    except msgspec.MsgspecError:
        # No cause is kept: the decoder's words could quote a key.
        raise LoadTestError(f"{path} can't be read: make it anew") from None
    if not 0 < len(found) <= LINES_MAX:
        raise LoadTestError(f"{path} has {len(found)} lines; 1 to {LINES_MAX} are read")
    return found
