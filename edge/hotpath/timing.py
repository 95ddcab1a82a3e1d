"""How far from now a scene admits a code, by how far the clock can be believed.

- One rule for codes, for identifications, and for past answers that are judged anew.
- Not here: what makes a clock degraded or untrusted (edge.clock).
"""

from typing import Literal

from edge.hotpath.presentation import DriftWindow
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.records import ScenePolicy

ClockState = Literal["trusted", "degraded", "untrusted"]
_UNTRUSTED = verdict(Reason.CLOCK_UNTRUSTED)


def window_of(policy: ScenePolicy, clock: ClockState) -> DriftWindow | Verdict:
    """Give the scene's drift window, or the verdict where the clock tells nothing.

    A degraded clock does what the policy says; an untrusted one tells nothing to any gate.
    """
    window = DriftWindow(policy.steps_back, policy.steps_ahead, policy.suites)
    if clock == "trusted":
        return window
    if clock == "untrusted" or policy.clock_degraded == "refer":
        return _UNTRUSTED
    return window.narrowed() if policy.clock_degraded == "narrow" else window
