"""One verification, readable top to bottom.

- The order is the security argument: nothing is looked up before the code is genuine,
  nothing is spent before the credential stands, nothing is answered before the record is
  durable.
- One trust snapshot and one reading of the clock a judgement.
- Whatever goes wrong on the way is an exception and becomes an HTTP error; accept is only
  ever a returned verdict.
"""

from collections.abc import Callable, Iterable, Sequence

from edge.errors import ImageError
from edge.hotpath.holder import Probe, ProbeFault, check_holder, why_of
from edge.hotpath.qr.reading import pick_presentation
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import Verdict, verdict
from edge.imaging import ImageLimits, probe_image
from edge.pipeline.answer import Outcome, encode_answer
from edge.pipeline.answers import RecentAnswers, in_time
from edge.pipeline.calls import CaptureCall, VerificationCall
from edge.pipeline.captures import OpenVerification, OpenVerifications
from edge.pipeline.carried import check_held_or_carried, read_card, see, to_compare
from edge.pipeline.challenges import Challenges, ChallengeShown, answer_challenge
from edge.pipeline.demand import Demand, ask_for
from edge.pipeline.digests import body_digest, request_key
from edge.pipeline.judgement import Judgement, policy_of
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
from edge.pipeline.timely import check_code
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
        self._face, self._rates = face, rates
        self._code_pool, self._face_pool = code_pool, face_pool
        self._observer, self._new_id, self._monotonic = observer, new_id, monotonic
        self._image_limits, self._demand = image_limits, demand
        self.answers = RecentAnswers(self._remake, answers_kept_s)
        self.open = OpenVerifications()
        self.challenges = Challenges(monotonic)

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
        key = request_key(call.gate.gate_id, call.request_id)
        digest = body_digest(
            call.scene, call.presentation or "", call.challenge_id or "",
            [call.code_image] if call.code_image is not None else [], call.face_images,
        )
        case = Judgement(
            verification_id=self._new_id(), gate=call.gate, scene=call.scene,
            request_digest=key, body_digest=digest, policy=policy, trust=trust, now=0.0,
            actor=call.actor, challenge_id=call.challenge_id,
        )
        outcome = await self.answers.once(key, digest, lambda: self._verify(call, case))
        return in_time(outcome, call.deadline_s, self._monotonic())

    async def capture(self, call: CaptureCall) -> Outcome:
        """Answer one `POST /v1/verifications/{id}/captures`; raises as `verify`."""
        key = request_key(call.gate.gate_id, call.request_id)
        digest = body_digest(
            call.verification_id, "", call.challenge_id or "", [], call.face_images
        )
        outcome = await self.answers.once(key, digest, lambda: self._capture(call, key, digest))
        return in_time(outcome, call.deadline_s, self._monotonic())

    async def _verify(self, call: VerificationCall, case: Judgement) -> Outcome:
        self._check_images(call.face_images)
        # Nothing is begun, let alone spent, that couldn't be recorded.
        self._journal.check()
        # 1. Scene and gate are known; a frame becomes a text.
        policy = case.policy
        case.begin()
        text: str | Verdict
        if call.presentation is not None:
            text = call.presentation
        else:
            text = await self._read(call, case)
        case.now = self._clock.now_s()
        if isinstance(text, Verdict):
            return await self._conclude(case, text)
        # 2. The code is genuine and in time, by a clock that can be believed.
        found = check_code(text, case, self._clock)
        case.end("authenticate")
        if found is not None:
            return await self._conclude(case, found)
        # 3. The credential stands and is accepted here.
        await ask_for(self._demand, case.authentic)
        found = self._check_credential(case)
        case.end("cache")
        if found is not None:
            return await self._conclude(case, found)
        # 4. The presentation is spent, once.
        if policy.face != "off":
            self.open.check_room()
            if call.face_images:
                self._face_pool.check(call.deadline_s, call.gate.gate_id)
        found = self._spend(case, case.request_digest)
        if found is None and self._guard.site is not None:
            found = await self._spend_at_site(case, self._guard.site)
        if found is not None or policy.face == "off":
            return await self._conclude(case, found or verdict(Reason.OK))
        # 5. and 6. The face, where policy asks for it; then 7. and 8.
        return await self._with_face(case, call.face_images, call.deadline_s, None)

    async def _capture(self, call: CaptureCall, key: bytes, digest: bytes) -> Outcome:
        self._check_images(call.face_images)
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
        found = self._check_credential(case)
        case.end("cache")
        if found is not None:
            self.open.close(call.verification_id)
            return await self._conclude(case, found)
        return await self._with_face(case, call.face_images, call.deadline_s, item)

    async def _with_face(
        self,
        case: Judgement,
        images: Sequence[bytes],
        deadline_s: float,
        item: OpenVerification | None,
    ) -> Outcome:
        found = await self._check_face(case, images, deadline_s)
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

    async def _read(self, call: VerificationCall, case: Judgement) -> str | Verdict:
        image = call.code_image
        assert image is not None
        reading = await self._code_pool.run(
            call.deadline_s, lambda: self._reader.read(image), call.gate.gate_id)
        case.end("decode")
        case.why = reading.why
        return pick_presentation(reading)

    def _check_credential(self, case: Judgement) -> Verdict | None:
        authentic = case.authentic
        assert authentic is not None
        found = read_card(case)
        if found is None:
            case.credential, case.status = self._cache.standing(authentic.credential_id)
            found = check_held_or_carried(case)
        return found

    def _spend(self, case: Judgement, showing: bytes) -> Verdict | None:
        authentic = case.authentic
        assert authentic is not None
        fresh = self._guard.spend(
            authentic.credential_id, authentic.step, showing, step_at(case.now)
        )
        return None if fresh else verdict(Reason.PRESENTATION_REPLAYED)

    async def _spend_at_site(self, case: Judgement, site: SiteGuard) -> Verdict | None:
        authentic = case.authentic
        assert authentic is not None
        found = await site.spend(authentic.credential_id, authentic.step, case.request_digest)
        case.end("site")
        case.replay_scope = "node" if found == "node" else "site"
        return verdict(Reason.PRESENTATION_REPLAYED) if found == "spent" else None

    async def _check_face(
        self, case: Judgement, images: Sequence[bytes], deadline_s: float
    ) -> Verdict:
        if not images:
            return verdict(Reason.FACE_ABSENT)
        case.begin()
        probe = await self._probe(case, images, deadline_s)
        if isinstance(probe, ProbeFault):
            case.end("face")
            case.why = probe.why
            return verdict(probe.reason)
        reference, probe = to_compare(self._cache, probe, case)
        comparison = self._rates.comparison(case.policy, probe, reference)
        found, case.face = check_holder(reference, probe, comparison, case.policy, now=case.now)
        case.why = why_of(found, probe, reference, case.policy, case.now)
        case.end("face")
        return found

    async def _probe(
        self, case: Judgement, images: Sequence[bytes], deadline_s: float
    ) -> Probe | ProbeFault:
        """Spend the challenge, if there is one, and look at the burst that answers it."""
        actions = self.challenges.spend(case.challenge_id, case.gate.gate_id, case.policy)
        if isinstance(actions, ProbeFault):
            return actions
        try:
            probe = await self._face_pool.run(
                deadline_s, lambda: see(self._face, images, case), case.gate.gate_id)
        except ImageError:
            # The code is spent, so a picture that turns out damaged is a retry, not an error.
            return ProbeFault(Reason.FACE_ABSENT, "damaged")
        return answer_challenge(probe, actions)

    async def _conclude(self, case: Judgement, found: Verdict) -> Outcome:
        """7. The record is durable. 8. The answer leaves."""
        record = case.record(found, self._clock, self._guard)
        receipt = await self._journal.append(record)
        case.end("journal")
        self._observer.observed(record, case.timings_ms)
        answer = render(record, receipt, case.credential, case.policy)
        return Outcome(encode_answer(answer), case.timings_ms)

    def _remake(self, record: VerificationRecord, receipt: Receipt) -> Outcome:
        """Make a journalled answer again."""
        credential = None
        if record.credential_type and record.credential_id is not None:
            credential = self._cache.credential(record.credential_id)
        policy = self._trust().policies.get(record.scene)
        return Outcome(encode_answer(render(record, receipt, credential, policy)))

    def _check_images(self, images: Iterable[bytes]) -> None:
        """Hold faces against the bounds by their headers, before anything is spent."""
        for image in images:
            probe_image(image, self._image_limits)
