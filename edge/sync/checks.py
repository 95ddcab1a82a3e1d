"""What is demanded of everything that is signed: a living root, this log, a time that fits.

- Shared by the roles of the feed, its snapshots and its answers.
- Pure; `now` is a parameter.
- Not here: signatures and form (edge.sync.envelope), what each role demands besides.
"""

from edge.protocol.feed import Root
from edge.sync.envelope import Refusal, Rule

CLOCK_AHEAD_S_MAX = 300
"""How far the platform's clock may run before ours in what it signs."""


def check_root_alive(root: Root, now: float) -> None:
    """Demand a root that hasn't expired."""
    if root.expires_s <= now:
        raise Refusal(
            Rule.ROOT_EXPIRED,
            f"root version {root.version} has expired: the platform must issue a new one",
        )


def check_log(log: str, ours: str) -> None:
    """Demand this log."""
    if log != ours:
        raise Refusal(Rule.LOG, "this belongs to another log")


def check_times(issued_s: int, expires_s: int, floor_s: int, now: float) -> None:
    """Demand what isn't from the future, expired, or older than the floor."""
    if issued_s > now + CLOCK_AHEAD_S_MAX:
        raise Refusal(
            Rule.FUTURE,
            f"issued {issued_s - int(now)} s in the future: check this machine's clock")
    if expires_s <= now:
        raise Refusal(
            Rule.EXPIRED,
            f"expired {int(now) - expires_s} s ago: held back on the way, or this clock is ahead")
    if issued_s < floor_s:
        raise Refusal(Rule.ROLLBACK, f"issued {floor_s - issued_s} s before what is believed")
