"""A `FeedStore` in memory: all or nothing, and able to fail on request."""

from collections.abc import Mapping, Sequence

from edge.errors import StoreError
from edge.protocol.feed import (
    Change,
    DropCredential,
    DropPolicy,
    PutCredential,
    PutGate,
    PutPolicy,
    PutStatus,
)
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ScenePolicy,
    StatusRecord,
)


class MemoryStore:
    """What a node holds, gone with the process unless the object is handed on."""

    def __init__(self) -> None:
        self.credentials: dict[bytes, CredentialRecord] = {}
        self.statuses: dict[bytes, StatusRecord] = {}
        self.cursor = 0
        self.applied: list[int] = []
        self.full = False
        self._meta: dict[str, bytes] = {}
        self._policies: dict[str, ScenePolicy] = {}
        self._gates: dict[str, GateRecord] = {}
        self._epochs: dict[int, EpochKeys] = {}

    def meta(self, name: str) -> bytes | None:
        return self._meta.get(name)

    def policies(self) -> Mapping[str, ScenePolicy]:
        return self._policies

    def gates(self) -> Mapping[str, GateRecord]:
        return self._gates

    def epochs(self) -> Sequence[EpochKeys]:
        return [self._epochs[day] for day in sorted(self._epochs)]

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        self._write()
        for change in changes:
            match change:
                case PutCredential(credential=credential):
                    self.credentials[credential.credential_id] = credential
                case DropCredential(credential_id=credential_id):
                    self.credentials.pop(credential_id, None)
                case PutStatus(status=status):
                    self.statuses[status.credential_id] = status
                case PutPolicy(policy=policy):
                    self._policies[policy.scene] = policy
                case DropPolicy(scene=scene):
                    self._policies.pop(scene, None)
                case PutGate(gate=gate):
                    self._gates[gate.gate_id] = gate
                case _:
                    pass
        self.applied.extend(range(self.cursor, cursor))
        self.cursor = cursor
        self._meta.update(meta)

    def put_epochs(self, epochs: Sequence[EpochKeys], meta: Mapping[str, bytes]) -> None:
        self._write()
        self._epochs = {keys.key_epoch: keys for keys in epochs}
        self._meta.update(meta)

    def drop_epochs(self, key_epochs: Sequence[int]) -> None:
        self._write()
        for day in key_epochs:
            self._epochs.pop(day, None)

    def _write(self) -> None:
        if self.full:
            raise StoreError("no space left in the store: free some and try again")
