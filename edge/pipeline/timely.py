"""2. of a verification: the code is genuine and in time, by a clock that can be believed.

- A degraded clock does what the scene's policy says; an untrusted one tells nothing to the gate.
- Every genuine code is evidence about the clock itself, in time or not, and also while the clock
  isn't believed: only its MAC counts then.
"""

from collections.abc import Sequence

from edge.hotpath.presentation import (
    AuthenticPresentation,
    DriftWindow,
    check_binary,
    check_presentation,
    open_texts,
)
from edge.hotpath.reasons import Reason
from edge.hotpath.timing import window_of
from edge.hotpath.verdict import Verdict
from edge.pipeline.judgement import Judgement
from edge.pipeline.ports import Clock

STEPS_ANY = 2**32
"""Wider than all time: asks for authenticity alone."""


def check_codes(cases: Sequence[Judgement], clock: Clock) -> None:
    """Judge the codes of cases; evidence is put into each, else the verdict."""
    if not cases:
        return
    state = clock.state
    policy = cases[0].policy
    window = window_of(policy, state)
    binaries = open_texts([case.text for case in cases])
    for case, binary in zip(cases, binaries, strict=True):
        if case.policy is not policy:
            policy = case.policy
            window = window_of(policy, state)
        if isinstance(window, Verdict):
            _hear(case, clock)
            case.found = window
        else:
            _check_code(case, binary, window, clock)
    cases[0].end("authenticate")


def _check_code(
    case: Judgement, binary: bytes | None, window: DriftWindow, clock: Clock
) -> None:
    found = check_binary(binary, case.now, case.trust.keys, window)
    if isinstance(found, AuthenticPresentation):
        clock.saw(found.credential_id, found.step)
        case.authentic = found
        return
    case.found = found
    if found.reason is Reason.STEP_EXPIRED:
        case.keep_expired()
        if case.expired is not None:
            clock.saw(case.expired.credential_id, case.expired.step)
    elif found.reason is Reason.STEP_FUTURE:
        _hear(case, clock)


def _hear(case: Judgement, clock: Clock) -> None:
    """Let the clock hear a code of any time, if it is genuine."""
    window = DriftWindow(STEPS_ANY, STEPS_ANY, case.policy.suites)
    found = check_presentation(case.text, case.now, case.trust.keys, window)
    if isinstance(found, AuthenticPresentation):
        clock.saw(found.credential_id, found.step)
