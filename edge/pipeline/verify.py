"""One verification, readable top to bottom.

- The order is the security argument: nothing is looked up before the code is genuine,
  nothing is spent before the credential stands, nothing is answered before the record is
  durable.
- One trust snapshot and one reading of the clock a judgement.
- Whatever goes wrong on the way is an exception and becomes an HTTP error; accept is only
  ever a returned verdict.
"""

from collections.abc import Callable, Sequence

from edge.errors import StoreError
from edge.hotpath.qr.reading import pick_presentation
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import Verdict, verdict
from edge.imaging import ImageLimits
from edge.pipeline.answer import Outcome, encode_answer
from edge.pipeline.answers import RecentAnswers, in_time
from edge.pipeline.calls import CaptureCall, VerificationCall
from edge.pipeline.captures import OpenVerification, OpenVerifications
from edge.pipeline.carried import check_credentials
from edge.pipeline.challenges import Challenges, ChallengeShown
from edge.pipeline.concluding import Concluder, answer_of
from edge.pipeline.demand import Demand, ask_for
from edge.pipeline.digests import body_digest, request_key
from edge.pipeline.facing import HolderCheck
from edge.pipeline.judgement import Judgement, case_of, policy_of, undecided
from edge.pipeline.ports import (
    Clock,
    CodeReader,
    CredentialCache,
    ErrorRates,
    FaceEngine,
    Journal,
    Observer,
    ReplayGuard,
    SiteGuard,
)
from edge.pipeline.render import render
from edge.pipeline.timely import check_codes
from edge.pipeline.together import GATHER_BESIDE_S, GATHER_S, Answered, Asked, AtJournal, Together
from edge.pipeline.unspent import check_unspent
from edge.pipeline.workers import WorkerPool
from edge.protocol.journal import Receipt, VerificationRecord
from edge.protocol.kh1 import step_at
from edge.protocol.records import GateRecord, ScenePolicy


class Verifier:
    """Judges presentations and captures."""

    def __init__(
        self,
        *,
        trust: Callable[[], Trust],
        clock: Clock,
        cache: CredentialCache,
        guard: ReplayGuard,
        journal: Journal,
        reader: CodeReader,
        face: FaceEngine,
        rates: ErrorRates,
        code_pool: WorkerPool,
        face_pool: WorkerPool,
        observer: Observer,
        new_id: Callable[[], str],
        monotonic: Callable[[], float],
        image_limits: ImageLimits,
        answers_kept_s: float,
        demand: Demand | None = None,
    ) -> None:
        """Take every port; `new_id` gives 32 hex characters."""
        self._trust, self._clock, self._cache, self._guard = trust, clock, cache, guard
        self._journal, self._reader = journal, reader
        self._code_pool, self._face_pool = code_pool, face_pool
        self._new_id, self._monotonic = new_id, monotonic
        self._demand = demand
        # 7. and 8. of each.
        self._conclude = Concluder(
            clock=clock, guard=guard, journal=journal, observer=observer).conclude
        self.answers = RecentAnswers(self._remake, answers_kept_s)
        self._together = Together(
            self, AtJournal(journal), observer, self.answers, monotonic, GATHER_S)
        self.open = OpenVerifications()
        self.challenges = Challenges(monotonic)
        self._holder = HolderCheck(
            cache=cache, face=face, rates=rates, pool=face_pool, image_limits=image_limits)

    def scenes(self, gate: GateRecord) -> list[ScenePolicy]:
        """Give the policies of the scenes that a gate may name here."""
        policies = self._trust().policies
        return [policies[scene] for scene in gate.scenes if scene in policies]

    def challenge(self, gate: GateRecord, scene: str) -> ChallengeShown:
        """Answer one `POST /v1/challenges`.

        Raises:
            CallError: Scene unknown, not this gate's, or without challenges.
            CapacityError: Too many are open.
        """
        return self.challenges.give(gate.gate_id, policy_of(self._trust(), gate, scene))

    async def verify(self, call: VerificationCall) -> Outcome:
        """Answer one `POST /v1/verifications`.

        Raises:
            CallError: It has no verdict.
            OperatingError: Journal, store, capacity or an image.
        """
        trust = self._trust()
        policy = policy_of(trust, call.gate, call.scene)
        case = case_of(call, trust, policy, self._new_id())
        outcome = await self.answers.once(
            case.request_digest, case.body_digest, lambda: self._verify(call, case))
        return in_time(outcome, call.deadline_s, self._monotonic())

    def take(self, call: VerificationCall, answered: Answered) -> bool:
        """Answer a call that is a code alone, for a scene without a face, by calling `answered`.

        What comes in the same turn of the event loop is judged together; see `judge`.

        Returns:
            False if `verify` has to be asked: it is another call, or came before.

        Raises:
            CallError: It has no verdict.
        """
        trust = self._trust()
        policy = policy_of(trust, call.gate, call.scene)
        if call.presentation is None or call.face_images or policy.face != "off":
            return False
        # Whoever else is to be asked on the way is waited for, which `verify` does.
        if (self._guard.site, self._demand, self.answers.shared) != (None, None, None):
            return False
        case = case_of(call, trust, policy, self._new_id())
        if self.answers.claim(case.request_digest, case.body_digest) is not None:
            return False
        self._together.add(Asked(case, call.deadline_s, answered))
        return True

    async def capture(self, call: CaptureCall) -> Outcome:
        """Answer one `POST /v1/verifications/{id}/captures`; raises as `verify`."""
        key = request_key(call.gate.gate_id, call.request_id)
        digest = body_digest(
            call.verification_id, "", call.challenge_id or "", [], call.face_images
        )
        outcome = await self.answers.once(key, digest, lambda: self._capture(call, key, digest))
        return in_time(outcome, call.deadline_s, self._monotonic())

    def gather(self) -> None:
        """Have codes gather as long as they do in the processes beside this one."""
        self._together.gather_s = GATHER_BESIDE_S

    def judge(self, cases: Sequence[Judgement]) -> None:
        """1. to 4. of codes alone; each step for all cases before the next is begun."""
        # 1. to 3. Scenes and gates are known, codes genuine and in time, credentials accepted here.
        check_unspent(cases, self._clock, self._cache)
        # 4. The presentations are spent, once.
        self._spend(undecided(cases))
        for case in undecided(cases):
            case.found = verdict(Reason.OK)

    async def _verify(self, call: VerificationCall, case: Judgement) -> Outcome:
        self._holder.check_images(call.face_images)
        # Nothing is begun, let alone spent, that couldn't be recorded.
        self._journal.check()
        # 1. Scene and gate are known; a frame becomes a text.
        case.begin()
        if call.code_image is not None:
            case.found = await self._read(call.code_image, call.deadline_s, case)
        case.now = self._clock.now_s()
        # 2. The code is genuine and in time.
        check_codes(undecided([case]), self._clock)
        # 3. The credential stands and is accepted here.
        await ask_for(self._demand, case.authentic)
        check_credentials(undecided([case]), self._cache)
        case.insist()
        # 4. The presentation is spent, once.
        if case.found is None and case.policy.face != "off":
            self.open.check_room()
            if call.face_images:
                self._face_pool.check(call.deadline_s, call.gate.gate_id)
        self._spend(undecided([case]))
        case.insist()
        if case.found is None and self._guard.site is not None:
            case.found = await self._spend_at_site(case, self._guard.site)
        if case.found is not None or case.policy.face == "off":
            return await self._conclude(case, case.found or verdict(Reason.OK))
        # 5. and 6. The face, where policy asks for it; then 7. and 8.
        return await self._with_face(case, call.face_images, call.deadline_s, None)

    async def _capture(self, call: CaptureCall, key: bytes, digest: bytes) -> Outcome:
        self._holder.check_images(call.face_images)
        self._journal.check()
        item = self.open.take_try(call.verification_id, call.gate.gate_id)
        trust = self._trust()
        case = Judgement(
            verification_id=call.verification_id, gate=call.gate, scene=item.scene,
            request_digest=key, body_digest=digest, kind="capture", trust=trust,
            policy=policy_of(trust, call.gate, item.scene), now=self._clock.now_s(),
            authentic=item.authentic, actor=call.actor, challenge_id=call.challenge_id,
            replay_scope=item.replay_scope,
        )
        case.begin()
        # A credential withdrawn since its code was shown counts.
        check_credentials([case], self._cache)
        case.insist()
        if case.found is not None:
            self.open.close(call.verification_id)
            return await self._conclude(case, case.found)
        return await self._with_face(case, call.face_images, call.deadline_s, item)

    async def _with_face(
        self,
        case: Judgement,
        images: Sequence[bytes],
        deadline_s: float,
        item: OpenVerification | None,
    ) -> Outcome:
        found = await self._holder.check(case, images, deadline_s, self.challenges)
        if found.decision is not Decision.RETRY:
            self.open.close(case.verification_id)
        elif item is None:
            assert case.authentic is not None
            policy = case.policy
            self.open.open(case.verification_id, OpenVerification(
                case.gate.gate_id, case.scene, case.authentic,
                self._monotonic() + policy.capture_open_s, policy.capture_tries,
                case.replay_scope,
            ))
        return await self._conclude(case, found)

    async def _read(self, image: bytes, deadline_s: float, case: Judgement) -> Verdict | None:
        reading = await self._code_pool.run(
            deadline_s, lambda: self._reader.read(image), case.gate.gate_id)
        case.end("decode")
        case.why = reading.why
        picked = pick_presentation(reading)
        if isinstance(picked, Verdict):
            return picked
        case.text = picked
        return None

    async def _spend_at_site(self, case: Judgement, site: SiteGuard) -> Verdict | None:
        authentic = case.authentic
        assert authentic is not None
        found = await site.spend(authentic.credential_id, authentic.step, case.request_digest)
        case.end("site")
        case.replay_scope = "node" if found == "node" else "site"
        return verdict(Reason.PRESENTATION_REPLAYED) if found == "spent" else None

    def _spend(self, cases: Sequence[Judgement]) -> None:
        """Spend the presentations of cases with nothing against them."""
        if not cases:
            return
        spends = [(case.authentic.credential_id, case.authentic.step, case.request_digest)
                  for case in cases if case.authentic is not None]
        try:
            fresh = self._guard.spend_all(spends, step_at(cases[0].now))
        except StoreError as error:
            for case in cases:
                case.failed = error
            return
        for case, spent in zip(cases, fresh, strict=True):
            if not spent:
                case.found = verdict(Reason.PRESENTATION_REPLAYED)

    def records(self, cases: Sequence[Judgement]) -> list[VerificationRecord]:
        """Give the records of judged cases."""
        clock, guard = self._clock.state, self._guard
        return [case.record(case.found, clock, guard) for case in cases if case.found is not None]

    def outcome(
        self, case: Judgement, record: VerificationRecord, found: Receipt
    ) -> Outcome:
        """Give the answer of a case whose record is durable."""
        return answer_of(case, record, found)

    def _remake(self, record: VerificationRecord, receipt: Receipt) -> Outcome:
        """Make a journalled answer again."""
        credential = None
        if record.credential_type and record.credential_id is not None:
            credential = self._cache.credential(record.credential_id)
        policy = self._trust().policies.get(record.scene)
        return Outcome(encode_answer(render(record, receipt, credential, policy)))
