"""A `FeedStore` and `CredentialCache` in memory: all or nothing, and able to fail on request."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from edge.errors import StoreError
from edge.hotpath import renewal
from edge.hotpath.holder import Probe, Template
from edge.protocol.feed import (
    Change,
    DropCredential,
    DropPolicy,
    DropReference,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    StatusRecord,
)

SECRET, GENERATION = bytes(range(32)), 1


class MemoryStore:
    """What a node holds, gone with the process unless the object is handed on."""

    def __init__(self) -> None:
        self.credentials: dict[bytes, CredentialRecord] = {}
        self.statuses: dict[bytes, StatusRecord] = {}
        self.held_references: dict[tuple[bytes, str], ReferenceRecord] = {}
        self.cursor = 0
        self.applied: list[int] = []
        self.full = False
        self._meta: dict[str, bytes] = {}
        self._policies: dict[str, ScenePolicy] = {}
        self._gates: dict[str, GateRecord] = {}
        self._epochs: dict[int, EpochKeys] = {}

    def credential(self, credential_id: bytes) -> CredentialRecord | None:
        return self.credentials.get(credential_id)

    def status(self, credential_id: bytes) -> StatusRecord | None:
        return self.statuses.get(credential_id)

    def reference(self, holder_id: bytes, pack: str) -> ReferenceRecord | None:
        return self.held_references.get((holder_id, pack))

    def protect(self, template: Template, pack: str, generation: int) -> Template:
        return self._rotated(template, pack, generation)[0]

    def protect_probe(self, probe: Probe, reference: ReferenceRecord | None) -> Probe:
        if reference is None:
            return probe
        coarse, fine = self._rotated(probe.template, probe.pack, reference.generation)
        return msgspec.structs.replace(
            probe, template=coarse, fine=fine, generation=reference.generation)

    def _rotated(
        self, template: Template, pack: str, generation: int
    ) -> tuple[Template, Template]:
        if generation != GENERATION:
            raise StoreError("references aren't of that generation any more")
        return renewal.protect(template, renewal.derive_rotation(SECRET, pack, len(template)))

    def meta(self, name: str) -> bytes | None:
        return self._meta.get(name)

    def policies(self) -> Mapping[str, ScenePolicy]:
        return self._policies

    def gates(self) -> Mapping[str, GateRecord]:
        return self._gates

    def epochs(self) -> Sequence[EpochKeys]:
        return [self._epochs[day] for day in sorted(self._epochs)]

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        self.hold(changes)
        self.applied.extend(range(self.cursor, cursor))
        self.cursor = cursor
        self._meta.update(meta)

    def hold(self, changes: Sequence[Change]) -> None:
        self._write()
        for change in changes:
            match change:
                case PutCredential(credential=credential):
                    self.credentials[credential.credential_id] = credential
                case DropCredential(credential_id=credential_id):
                    self.credentials.pop(credential_id, None)
                case PutReference(reference=reference):
                    template = np.frombuffer(reference.template, np.int8)
                    coarse, fine = self._rotated(template, reference.pack, GENERATION)
                    self.held_references[reference.holder_id, reference.pack] = (
                        msgspec.structs.replace(
                            reference, template=coarse.tobytes(), fine=fine.tobytes(),
                            generation=GENERATION))
                case DropReference(holder_id=holder_id, pack=pack):
                    self.held_references.pop((holder_id, pack), None)
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

    def take_in(self, changes: Sequence[Change], since_s: int, end_s: int) -> None:
        self.hold(changes)

    def put_epochs(self, epochs: Sequence[EpochKeys], meta: Mapping[str, bytes]) -> None:
        self._write()
        self._epochs = {keys.key_epoch: keys for keys in epochs}
        self._meta.update(meta)

    def keep(self, meta: Mapping[str, bytes]) -> None:
        self._write()
        self._meta.update(meta)

    def drop_epochs(self, key_epochs: Sequence[int]) -> None:
        self._write()
        for day in key_epochs:
            self._epochs.pop(day, None)

    def _write(self) -> None:
        if self.full:
            raise StoreError("no space left in the store: free some and try again")
