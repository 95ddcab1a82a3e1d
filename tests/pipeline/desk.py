"""A desk with a verifier on real store, guard and journal, and one holder."""

import itertools
import time
from pathlib import Path

import msgspec

from edge.audit.journal import FileJournal
from edge.cache.guard import MappedReplayGuard
from edge.cache.store import LmdbStore
from edge.hotpath.keys import KeyRing
from edge.hotpath.merkle import hash_leaf
from edge.hotpath.trust import Trust
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.imaging import DEFAULT_LIMITS
from edge.node_key import NodeKey
from edge.pipeline.calls import CaptureCall, VerificationCall
from edge.pipeline.thresholds import SceneRates
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.feed import PutCredential, PutReference, PutStatus
from edge.protocol.journal import Receipt, VerificationRecord, decode_record
from edge.protocol.records import (
    CredentialRecord,
    Disclosure,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    Status,
    StatusRecord,
    Words,
)
from tests.fakes.ports import PACK, POINTS, FakeClock, FakeFace, FakeReader, Seen, template_of

DAY = 21_100
NOW = DAY * 86_400 + 30_000.0
STEP = int(NOW // 5)
KEYS = EpochKeys(key_epoch=DAY, master=bytes([3] * 32), seal_private=bytes([4] * 32))
CREDENTIAL, HOLDER = bytes([1] * 16), bytes([2] * 16)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0"
GATE = GateRecord(gate_id="g1", secret_hash=bytes(32), scenes=("face", "code", "gone"))
OTHER_GATE = GateRecord(gate_id="g2", secret_hash=bytes(32), scenes=("code",))
FACE = ScenePolicy(
    scene="face", version=7, title=Words("", ""), accepts=("resident_id",),
    disclose=(Disclosure("name", "name"), Disclosure("missing", "full")),
)
CODE = msgspec.structs.replace(FACE, scene="code", face="off")
NOBODY, MANY, BLURRED, OWNER, STRANGER = 0, 1, 2, 5, 6


def picture_of(name: int) -> bytes:
    return PNG + bytes([name])


class Desk:
    def __init__(self, folder: Path, observer=None) -> None:
        self.folder, self.key = folder, NodeKey(bytes([9] * 32))
        self.clock, self.face, self.seen = FakeClock(NOW), FakeFace(), Seen()
        self.observer = observer or self.seen
        self.rates = SceneRates([("pack", POINTS)])
        self.ids = itertools.count(1)
        self.requests = itertools.count(1)
        self.open()
        self.store.apply([
            PutCredential(self.credential()),
            PutReference(ReferenceRecord(holder_id=HOLDER, pack=PACK, created_s=0,
                                         template=template_of(OWNER).tobytes())),
        ], 2, {})

    def open(self) -> None:
        self.store = LmdbStore(self.folder / "cache", self.key.derive, map_bytes=1 << 20)
        self.guard = MappedReplayGuard(
            self.folder / "guard", self.key.derive, boot_id=b"boot", restart_floor=0)
        self.journal = FileJournal(self.folder / "journal", self.key.signing)
        self.code_pool = WorkerPool("code", 1, 4)
        self.face_pool = WorkerPool("face", 1, 4)
        self.trust = Trust(
            node_id="n", log="l", keys=KeyRing.derive([KEYS]), mode="online", keys_as_of_s=int(NOW),
            status_as_of_s=int(NOW) - 5, policies={"face": FACE, "code": CODE}, gates={})
        self.verifier = self.build(self.journal)

    def build(self, journal) -> Verifier:
        return Verifier(
            trust=lambda: self.trust, clock=self.clock, cache=self.store, guard=self.guard,
            journal=journal, reader=FakeReader(), face=self.face,
            rates=self.rates, code_pool=self.code_pool,
            face_pool=self.face_pool, observer=self.observer,
            new_id=lambda: f"{next(self.ids):032x}", monotonic=time.monotonic,
            image_limits=DEFAULT_LIMITS, answers_kept_s=600.0)

    def close(self) -> None:
        self.code_pool.close()
        self.face_pool.close()
        self.journal.close()
        self.guard.close()
        self.store.close()

    def restart(self) -> None:
        self.close()
        self.open()
        for index, data in self.journal.recent(0):
            record = decode_record(data)
            if isinstance(record, VerificationRecord):
                receipt = Receipt(self.journal.log, index, hash_leaf(data).hex())
                self.verifier.answers.restore(record, receipt, 0.0)

    def credential(self, **differently) -> CredentialRecord:
        honest = CredentialRecord(
            credential_id=CREDENTIAL, holder_id=HOLDER, type="resident_id", valid_from_s=0,
            valid_until_s=None, fields={"name": "马可波"}, updated_s=int(NOW) - 100)
        return msgspec.structs.replace(honest, **differently)

    def put(self, *changes) -> None:
        self.store.apply(changes, 3, {})

    def set_status(self, status: Status) -> None:
        self.put(PutStatus(StatusRecord(
            credential_id=CREDENTIAL, status=status, changed_s=int(NOW))))

    def policy(self, scene: str, **differently) -> None:
        changed = msgspec.structs.replace(self.trust.policies[scene], **differently)
        self.trust = msgspec.structs.replace(
            self.trust, policies={**self.trust.policies, scene: changed})

    def code(self, step: int = STEP, credential: bytes = CREDENTIAL) -> str:
        epoch = next(iter(KeyRing.derive([KEYS])))
        return make_presentation(derive_wallet_keys(epoch, 1, credential), step)

    def call(self, scene: str = "code", *, code: str | None = None, frame: bytes | None = None,
             face: int | None = None, request: str = "", gate: GateRecord = GATE,
             deadline_s: float | None = None, challenge: str | None = None) -> VerificationCall:
        if code is None and frame is None:
            code = self.code()
        return VerificationCall(
            gate=gate, scene=scene, request_id=request or f"r{next(self.requests)}",
            presentation=code, code_image=frame, challenge_id=challenge,
            face_images=() if face is None else (picture_of(face),),
            deadline_s=time.monotonic() + 5 if deadline_s is None else deadline_s)

    def capture(self, verification_id: str, face: int, gate: GateRecord = GATE,
                request: str = "", challenge: str | None = None) -> CaptureCall:
        return CaptureCall(
            gate=gate, verification_id=verification_id, challenge_id=challenge,
            request_id=request or f"r{next(self.requests)}", face_images=(picture_of(face),),
            deadline_s=time.monotonic() + 5)

    async def reason(self, *args, **kwargs) -> str:
        return (await self.verifier.verify(self.call(*args, **kwargs))).answer.reason
