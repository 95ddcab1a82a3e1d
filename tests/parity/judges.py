"""The three judges: a node that hears everything, one that was cut off, and the platform."""

import asyncio
import itertools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from central.checking import check_code
from central.errors import Unknown
from central.store import Transaction
from edge.audit.journal import FileJournal
from edge.cache.guard import MappedReplayGuard
from edge.cache.store import LmdbStore
from edge.hotpath.holder import Probe, ProbeFault, check_holder
from edge.hotpath.keys import KeyRing
from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.hotpath.statuslist import StatusList
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import verdict
from edge.imaging import DEFAULT_LIMITS
from edge.node_key import NodeKey
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import SceneForbidden, SceneUnknown, VerificationCall
from edge.pipeline.thresholds import SceneRates
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.feed import Change
from tests.fakes.ports import PACK, FakeClock, FakeReader, Seen
from tests.parity.cases import POINTS, Case, Watch
from tests.parity.city import LOG, MINE, OTHER, City

GATES = {"mine": MINE, "other": OTHER}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0"
LONG_S = 600.0
Said = tuple[str, str]
"""Decision and reason, or a refusal of the call."""
FORBIDDEN, UNKNOWN = ("403", ""), ("404", "")
SPENT_AFTER = {Stage.DONE, Stage.CAPTURE, Stage.BIOMETRIC}
"""What is answered after the code was spent; these cases bring texts, so capture is the face."""


class MadeUpFace:
    """Sees in a picture what its case made up."""

    pack_id = PACK

    def __init__(self) -> None:
        self.seen: dict[bytes, Probe | ProbeFault] = {}

    def picture(self, case: Case) -> tuple[bytes, ...]:
        if case.face is None:
            return ()
        image = PNG + case.number.to_bytes(4, "big")
        self.seen[image] = case.face
        return (image,)

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        return self.seen[images[0]]


class NodeJudge:
    """A verifier on a store, a guard and a journal of its own.

    Attributes:
        spent: Highest step that it spent, by credential.
    """

    def __init__(self, folder: Path, city: City, changes: Sequence[Change], as_of_s: int,
                 days: Sequence[int]) -> None:
        self._folder, key = folder, NodeKey(bytes([9] * 32))
        self.city, self.clock, self._face = city, FakeClock(float(as_of_s)), MadeUpFace()
        self.store = LmdbStore(folder / "cache", key.derive, map_bytes=1 << 22)
        self.guard = MappedReplayGuard(
            folder / "guard", key.derive, boot_id=b"boot", restart_floor=0)
        self.journal = FileJournal(folder / "journal", key.signing)
        self._pools = [WorkerPool(name, 2, 10_000) for name in ("code", "face")]
        self.store.apply(changes, len(changes), {})
        self.trust = Trust(
            node_id="n", log=LOG, keys=KeyRing.derive([city.epochs[day] for day in days]),
            keys_as_of_s=as_of_s, card_keys=(city.keys.signing["cards"].public_key(),),
        ).with_changes(changes, cursor=len(changes), head=len(changes), issued_s=as_of_s)
        numbers = itertools.count(1)
        self.requests = itertools.count(1)
        self.spent: dict[int, int] = {}
        self.verifier = Verifier(
            trust=lambda: self.trust, clock=self.clock, cache=self.store, guard=self.guard,
            journal=self.journal, reader=FakeReader(), face=self._face,
            rates=SceneRates([("pack", POINTS)]), code_pool=self._pools[0],
            face_pool=self._pools[1], observer=Seen(), new_id=lambda: f"{next(numbers):032x}",
            monotonic=time.monotonic, image_limits=DEFAULT_LIMITS, answers_kept_s=LONG_S)

    def watch(self, watch: Watch, clock: str, held: StatusList | None, *, hears: bool) -> None:
        """Take up a moment: its time, its clock, its list; news if it hears any."""
        self.clock.now, self.clock.state = watch.now, clock
        lists = {} if held is None else {held.uri: held}
        self.trust = self.trust.with_lists(lists).with_mode("online" if hears else "offline")
        if hears:
            self.trust = self.trust.with_heartbeat(int(watch.now))

    async def judge(self, cases: Sequence[Case]) -> list[Said]:
        """Judge cases as they come in at once."""
        return list(await asyncio.gather(*(self._judge(case) for case in cases)))

    async def _judge(self, case: Case) -> Said:
        call = VerificationCall(
            gate=GATES[case.gate], scene=case.scene, request_id=f"r{next(self.requests)}",
            presentation=case.text, code_image=None, face_images=self._face.picture(case),
            challenge_id=None, deadline_s=time.monotonic() + LONG_S)
        try:
            answer = (await self._answered(call)).answer
        except SceneForbidden:
            return FORBIDDEN
        except SceneUnknown:
            return UNKNOWN
        if case.person is not None and REASONS[Reason(answer.reason)].stage in SPENT_AFTER:
            self.spent[case.person] = max(case.step, self.spent.get(case.person, 0))
        return answer.decision, answer.reason

    async def _answered(self, call: VerificationCall) -> Outcome:
        """Answer as the short way does: codes alone with the others of their turn."""
        told: asyncio.Future[Outcome | Exception] = asyncio.get_running_loop().create_future()
        if not self.verifier.take(call, told.set_result):
            return await self.verifier.verify(call)
        found = await told
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        for pool in self._pools:
            pool.close()
        self.journal.close()
        self.guard.close()
        self.store.close()
        # Its table takes its whole size on the disk.
        shutil.rmtree(self._folder / "guard")


class PlatformJudge:
    """The platform's check, and the same face rules on its own references as they were enrolled."""

    def __init__(self, city: City) -> None:
        self.city = city
        self._rates = SceneRates([("pack", POINTS)])
        self._card_keys = (city.keys.signing["cards"].public_key(),)

    async def judge(self, cases: Sequence[Case]) -> list[Said]:
        return await self.city.database.run(
            lambda tx: [self._judge(tx, case) for case in cases])

    def _judge(self, tx: Transaction, case: Case) -> Said:
        try:
            found = check_code(tx, case.scene, case.text, log=LOG, card_keys=self._card_keys,
                               now=case.watch.now)
        except Unknown:
            return UNKNOWN
        if found.reason != Reason.FACE_ABSENT or case.face is None:
            return found.decision, found.reason
        if isinstance(case.face, ProbeFault):
            said = verdict(case.face.reason)
            return said.decision.value, said.reason.value
        assert case.person is not None
        policy, held = self.city.policies[case.scene], self.city.people[case.person].now.reference
        reference = held if held is not None and held.pack == case.face.pack else None
        said, _ = check_holder(
            reference, case.face, self._rates.comparison(policy, case.face, reference), policy,
            now=case.watch.now)
        return said.decision.value, said.reason.value


Tamper = Callable[[NodeJudge], None]


class Judges:
    """All three, asked the same."""

    def __init__(self, folder: Path, city: City, tamper: Tamper | None = None) -> None:
        from tests.parity.city import CUT, DAY, LATER

        every = [*city.until_cut, *city.afterwards]
        self.city, self.platform = city, PlatformJudge(city)
        self.online = NodeJudge(folder / "online", city, every, LATER, range(DAY - 1, DAY + 3))
        # Its keys were delivered for the day of the cut, and no further.
        self.offline = NodeJudge(folder / "offline", city, city.until_cut, CUT, (DAY - 1, DAY))
        self.nodes: Mapping[str, NodeJudge] = {"online": self.online, "offline": self.offline}
        if tamper is not None:
            tamper(self.offline)

    def watch(self, watch: Watch) -> None:
        """Begin a moment."""
        city = self.city
        assert city.list_cut is not None
        over = msgspec.structs.replace(city.list_cut, expires_s=int(watch.now) - 1)
        self.online.watch(watch, watch.online_clock, {
            "now": city.list_now, "none": None}[watch.online_list], hears=True)
        self.offline.watch(watch, watch.offline_clock, {
            "cut": city.list_cut, "over": over, "none": None}[watch.offline_list], hears=False)

    def close(self) -> None:
        self.online.close()
        self.offline.close()
