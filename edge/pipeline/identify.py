"""One identification, readable top to bottom: a face without a code, in scenes that allow it.

- The gallery only finds: what counts is the store's own sealed reference of whom it found,
  compared exactly, and that holder's credential with its status.
- The threshold follows the gallery's size; nobody is an answer, and a code is always another way.
- Journalled, idempotent, bounded and on the same workers as every other face.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from edge.errors import ImageError
from edge.hotpath.holder import PAD_MISSING, Probe, ProbeFault
from edge.hotpath.identification import check_identity, choose_credential, score_candidate
from edge.hotpath.rates import identification_fmr
from edge.hotpath.reasons import Reason
from edge.hotpath.timing import window_of
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import Verdict, verdict
from edge.imaging import ImageLimits, probe_image
from edge.pipeline.answer import Outcome
from edge.pipeline.answers import RecentAnswers, in_time
from edge.pipeline.calls import IdentificationCall, SceneForbidden
from edge.pipeline.concluding import Concluder
from edge.pipeline.digests import body_digest, request_key
from edge.pipeline.judgement import Judgement, policy_of
from edge.pipeline.ports import (
    Clock,
    FaceEngine,
    Gallery,
    IdentityCache,
    Journal,
    Observer,
    ReplayGuard,
)
from edge.pipeline.workers import WorkerPool
from edge.protocol.records import ReferenceRecord, ScenePolicy

ServingPoint = Callable[[ScenePolicy, float], tuple[float, float] | None]
"""(Threshold, its FMR) that serves a scene at an FMR, its override included; None if unfit."""


class _Search(msgspec.Struct):
    """What a capture and its search gave."""

    probe: Probe
    candidates: Sequence[tuple[ReferenceRecord, float]]
    """Usable ones with their exact scores, descending."""
    searched: int


class Identifier:
    """Answers identifications."""

    def __init__(
        self, *, trust: Callable[[], Trust], clock: Clock, cache: IdentityCache,
        guard: ReplayGuard, journal: Journal, face: FaceEngine, gallery: Gallery,
        point: ServingPoint, face_pool: WorkerPool, observer: Observer,
        new_id: Callable[[], str], image_limits: ImageLimits, answers: RecentAnswers,
    ) -> None:
        """Take the ports; `answers` are the verifier's, `new_id` gives 32 hex characters."""
        self._trust, self._clock, self._cache = trust, clock, cache
        self._journal, self._face, self._gallery, self._point = journal, face, gallery, point
        self._face_pool, self._new_id = face_pool, new_id
        self._image_limits, self._answers = image_limits, answers
        self._conclude = Concluder(
            clock=clock, guard=guard, journal=journal, observer=observer).conclude

    async def identify(self, call: IdentificationCall) -> Outcome:
        """Answer one `POST /v1/identifications`.

        Raises:
            CallError: It has no verdict.
            OperatingError: Journal, store, capacity or an image.
        """
        # 1. Scene and gate are known, and the scene allows it.
        trust = self._trust()
        case = Judgement(
            verification_id=self._new_id(), kind="identification", gate=call.gate,
            scene=call.scene, policy=_allowing(trust, call), trust=trust, now=0.0,
            request_digest=request_key(call.gate.gate_id, call.request_id),
            body_digest=body_digest(call.scene, "identification", "", [], call.face_images),
            actor=call.actor,
        )
        outcome = await self._answers.once(
            case.request_digest, case.body_digest, lambda: self._identify(call, case))
        return in_time(outcome, call.deadline_s, time.monotonic())

    async def _identify(self, call: IdentificationCall, case: Judgement) -> Outcome:
        for image in call.face_images:
            probe_image(image, self._image_limits)
        # Nobody is looked for if that couldn't be recorded.
        self._journal.check()
        # 2. By a clock that can be believed.
        case.begin()
        case.now = self._clock.now_s()
        window = window_of(case.policy, self._clock.state)
        found = window if isinstance(window, Verdict) else await self._judge(call, case)
        # 6. The record is durable. 7. The answer leaves.
        return await self._conclude(case, found)

    async def _judge(self, call: IdentificationCall, case: Judgement) -> Verdict:
        # 3. The face becomes a probe, and the gallery is searched.
        search = await self._face_pool.run(
            call.deadline_s, lambda: self._search(call.face_images, case), call.gate.gate_id)
        case.end("face")
        if isinstance(search, ProbeFault):
            case.why = search.why
            return verdict(search.reason)
        # 4. The best is somebody, by the threshold of a gallery of this size.
        fmr = identification_fmr(case.policy.fpir_max, max(1, search.searched))
        point = self._point(case.policy, fmr)
        found, case.face = check_identity(
            [score for _, score in search.candidates], search.probe, point, case.policy,
            gallery=search.searched)
        if found.reason is Reason.PACK_UNFIT and point is not None:
            case.why = PAD_MISSING
        if found.reason is not Reason.OK:
            return found
        # 5. That holder's credential stands and is accepted here.
        holder_id = search.candidates[0][0].holder_id
        held = [(item, self._cache.status(item.credential_id))
                for item in self._cache.credentials_of(holder_id)]
        chosen, found = choose_credential(
            held, case.policy, now=case.now, status_age_s=case.trust.status_age_s(case.now))
        if chosen is not None:
            case.credential, case.status = chosen
        case.end("cache")
        return found

    def _search(self, images: Sequence[bytes], case: Judgement) -> _Search | ProbeFault:
        """Find the usable candidates of one capture. On a worker thread."""
        try:
            probe = self._face.probe(images)
        except ImageError:
            return ProbeFault(Reason.FACE_ABSENT, "damaged")
        if isinstance(probe, ProbeFault):
            return probe
        row = self._cache.protect(probe.template, probe.pack, self._cache.generation)
        nearest, searched = self._gallery.search(row)
        candidates = []
        for holder_id, _ in nearest:
            reference = self._cache.reference(holder_id, probe.pack)
            if reference is None:
                continue
            near = self._cache.protect_probe(probe, reference)
            score = score_candidate(reference, near, case.policy, now=case.now)
            if score is not None:
                candidates.append((reference, score))
        candidates.sort(key=lambda item: item[1], reverse=True)
        return _Search(probe, candidates, searched)


def _allowing(trust: Trust, call: IdentificationCall) -> ScenePolicy:
    """Give the policy of a scene that allows this.

    Raises:
        CallError: There is no such scene, it isn't this gate's, or its policy doesn't.
    """
    policy = policy_of(trust, call.gate, call.scene)
    if policy.identification != "allowed":
        raise SceneForbidden(
            "the scene's policy doesn't allow identification: ask for a code instead")
    return policy
