"""What is demanded of everything that is signed: a living root, this log, a time that fits.

- Shared by the roles of the feed, its snapshots and its answers.
- Pure; `now` is a parameter.
- Not here: how signatures and form are checked (edge.sync.envelope), what each role demands
  besides.
"""

from edge.protocol.feed import Root
from edge.sync.envelope import Body, Refusal, Rule, check_signatures, open_envelope, parse_body

CLOCK_AHEAD_S_MAX = 300
"""How far the platform's clock may run before ours in what it signs."""


def open_signed(data: bytes, role: str, form: type[Body], root: Root, now: float) -> Body:
    """Open what a role signed, in the one order that is safe: root, signatures, form, log.

    Args:
        data: The envelope.
        role: Whose keys must have signed it.
        form: What its body must be.
        root: The newest believed one.
        now: Unix seconds.

    Raises:
        Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`, `log`.
    """
    check_root_alive(root, now)
    envelope = open_envelope(data)
    check_signatures(envelope, root, role)
    body = parse_body(envelope, form)
    check_log(body.log, root.log)
    return body


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
