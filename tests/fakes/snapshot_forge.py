"""Makes snapshots with real signatures and real sealing: honest by default, crooked on request."""

import hashlib
import os

import msgspec

from edge.protocol.feed import FORMAT, Change
from edge.protocol.snapshot import NONCE_BYTES, Snapshot, SnapshotPart, Timestamp, pack_part
from tests.fakes.feed_forge import LIFE_S, Forge, envelope

FEED_KEY = bytes(range(100, 132))
KEYS = {1: FEED_KEY}


class Forged:
    """A snapshot, its parts as they travel, and the timestamp that names it."""

    def __init__(
        self, forge: Forge, *parts: list[Change], version: int = 1, cursor: int = 3,
        key: int = 1, named: dict[str, object] | None = None,
        signers: tuple[object, object] | None = None, said: dict[str, object] | None = None,
        part_said: dict[str, object] | None = None,
    ) -> None:
        self.parts: list[bytes] = []
        listed = []
        for changes in parts:
            sealing = (key, FEED_KEY, os.urandom(NONCE_BYTES)) if key else None
            data, plain = pack_part(changes, forge.log, sealing)
            self.parts.append(data)
            listed.append(msgspec.structs.replace(
                said_of(data, plain, len(changes), key), **(part_said or {})))
        snapshot_by, timestamp_by = signers or (forge.keys.snapshot[0], forge.keys.timestamp[0])
        self.body = msgspec.structs.replace(Snapshot(
            format=FORMAT, log=forge.log, version=version, cursor=cursor, issued_s=forge.now_s,
            expires_s=forge.now_s + 10 * LIFE_S, parts=tuple(listed)), **(said or {}))
        self.snapshot = envelope(self.body, snapshot_by)  # type: ignore[arg-type]
        self.timestamp_body = msgspec.structs.replace(Timestamp(
            format=FORMAT, log=forge.log, issued_s=forge.now_s, expires_s=forge.now_s + LIFE_S,
            version=version, length=len(self.snapshot),
            digest=hashlib.sha256(self.snapshot).digest()), **(named or {}))
        self.timestamp = envelope(self.timestamp_body, timestamp_by)  # type: ignore[arg-type]


def said_of(data: bytes, plain: int, changes: int, key: int = 0) -> SnapshotPart:
    return SnapshotPart(
        digest=hashlib.sha256(data).digest(), length=len(data), plain_length=plain,
        changes=changes, key=key)
