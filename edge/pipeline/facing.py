"""5. and 6. of a verification: the face in front of the gate is the holder's, where policy asks.

- The challenge, if there is one, is spent before a picture is looked at.
- The comparison is edge.hotpath.holder's; which reference, in which space: edge.pipeline.carried.
"""

from collections.abc import Iterable, Sequence

from edge.errors import ImageError
from edge.hotpath.holder import Probe, ProbeFault, check_holder, why_of
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.imaging import ImageLimits, probe_image
from edge.pipeline.carried import see, to_compare
from edge.pipeline.challenges import Challenges, answer_challenge
from edge.pipeline.judgement import Judgement
from edge.pipeline.ports import CredentialCache, ErrorRates, FaceEngine
from edge.pipeline.workers import WorkerPool


class HolderCheck:
    """Judges captures of a holder's face."""

    def __init__(
        self, *, cache: CredentialCache, face: FaceEngine, rates: ErrorRates, pool: WorkerPool,
        image_limits: ImageLimits,
    ) -> None:
        """Take the ports, and the bounds of a picture."""
        self._cache, self._face, self._rates = cache, face, rates
        self._pool, self._image_limits = pool, image_limits

    def check_images(self, images: Iterable[bytes]) -> None:
        """Hold faces against the bounds by their headers, before anything is spent.

        Raises:
            ImageError: One is beyond them, or not an image we read.
        """
        for image in images:
            probe_image(image, self._image_limits)

    async def check(
        self, case: Judgement, images: Sequence[bytes], deadline_s: float, challenges: Challenges
    ) -> Verdict:
        """Judge the pictures of a case whose credential stands.

        Raises:
            CapacityError, DeadlineMissed: It can't be done in time.
        """
        if not images:
            return verdict(Reason.FACE_ABSENT)
        case.begin()
        probe = await self._probe(case, images, deadline_s, challenges)
        if isinstance(probe, ProbeFault):
            case.end("face")
            case.why = probe.why
            return verdict(probe.reason)
        reference, probe = to_compare(self._cache, probe, case)
        comparison = self._rates.comparison(case.policy, probe, reference)
        found, case.face = check_holder(reference, probe, comparison, case.policy, now=case.now)
        case.why = why_of(found, probe, reference, case.policy, case.now,
                          served=comparison is not None)
        case.end("face")
        return found

    async def _probe(
        self, case: Judgement, images: Sequence[bytes], deadline_s: float, challenges: Challenges
    ) -> Probe | ProbeFault:
        """Spend the challenge, if there is one, and look at the burst that answers it."""
        actions = challenges.spend(case.challenge_id, case.gate.gate_id, case.policy)
        if isinstance(actions, ProbeFault):
            return actions
        try:
            probe = await self._pool.run(
                deadline_s, lambda: see(self._face, images, case), case.gate.gate_id)
        except ImageError:
            # The code is spent, so a picture that turns out damaged is a retry, not an error.
            return ProbeFault(Reason.FACE_ABSENT, "damaged")
        return answer_challenge(probe, actions)
