"""2. of a verification: the code is genuine and in time, by a clock that can be believed.

- A degraded clock does what the scene's policy says; an untrusted one tells nothing to the gate.
- Every genuine code is evidence about the clock itself, in time or not, and also while the clock
  isn't believed: only its MAC counts then.
"""

from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.hotpath.reasons import Reason
from edge.hotpath.timing import window_of
from edge.hotpath.verdict import Verdict
from edge.pipeline.judgement import Judgement
from edge.pipeline.ports import Clock

STEPS_ANY = 2**32
"""Wider than all time: asks for authenticity alone."""


def check_code(text: str, case: Judgement, clock: Clock) -> Verdict | None:
    """Judge the code of a case; evidence is put into the case, else the verdict is given."""
    window = window_of(case.policy, clock.state)
    if isinstance(window, Verdict):
        _hear(text, case, clock)
        return window
    found = check_presentation(text, case.now, case.trust.keys, window)
    if isinstance(found, AuthenticPresentation):
        clock.saw(found.credential_id, found.step)
        case.authentic = found
        return None
    if found.reason is Reason.STEP_EXPIRED:
        case.keep_expired(text)
        if case.expired is not None:
            clock.saw(case.expired.credential_id, case.expired.step)
    elif found.reason is Reason.STEP_FUTURE:
        _hear(text, case, clock)
    return found


def _hear(text: str, case: Judgement, clock: Clock) -> None:
    """Let the clock hear a code of any time, if it is genuine."""
    window = DriftWindow(STEPS_ANY, STEPS_ANY, case.policy.suites)
    found = check_presentation(text, case.now, case.trust.keys, window)
    if isinstance(found, AuthenticPresentation):
        clock.saw(found.credential_id, found.step)
