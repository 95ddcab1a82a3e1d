"""The verdict: a decision with its reason.

- A verdict is a returned value, never raised.
- Only the reasons table makes decisions; a policy may pick one of a row's
  listed alternatives and nothing else.
"""

import msgspec

from edge.hotpath.reasons import REASONS, Decision, Reason


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """One expected answer of the rules."""

    decision: Decision
    reason: Reason


_DEFAULT = {reason: Verdict(row.decision, reason) for reason, row in REASONS.items()}


def verdict(reason: Reason, decision: Decision | None = None) -> Verdict:
    """Give the verdict of a reason.

    Args:
        reason: A row of the reasons table.
        decision: A policy's choice instead of the default, if any.

    Raises:
        RuntimeError: The table doesn't allow that decision for that reason.
    """
    default = _DEFAULT[reason]
    if decision is None or decision == default.decision:
        return default
    if decision not in REASONS[reason].also:
        raise RuntimeError(f"{decision} is not an answer to {reason}")
    return Verdict(decision, reason)
