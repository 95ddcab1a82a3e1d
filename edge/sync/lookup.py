"""Looking up at the platform what the node doesn't hold: the rules, and the call.

- An answer is believed by the rules of the feed: the role that signs changes, this log, this node,
  exactly what was asked, not expired, not from before what is believed.
- One that another node of the site got is believed by the same rules, but for whom it names; the
  site only carries it.
- What it holds is put down beside what is held; the place in the feed doesn't move.
- Not here: when to ask, and how long what was found stays (edge.holding).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from edge.protocol.feed import (
    Change,
    PutCredential,
    PutReference,
    PutStatus,
    SealedChange,
    change_bound,
)
from edge.protocol.lookup import CHANGES_MAX, LookedUp, LookupRequest, lookup_log
from edge.sync.believer import Believer
from edge.sync.checks import check_times, open_signed
from edge.sync.client import CentralClient
from edge.sync.content import check_fits
from edge.sync.envelope import Refusal, Rule
from edge.sync.rules import TrustedFeed
from edge.sync.sealing import open_change

_PUTS = (PutCredential, PutReference, PutStatus)


def trust_lookup(
    feed: TrustedFeed, data: bytes, raw: bytes, now: float, keys: Mapping[int, bytes], *,
    of_site: bool = False,
) -> tuple[LookedUp, tuple[Change, ...]]:
    """Believe the answer to a request.

    Args:
        feed: What the node believes.
        data: The answer's envelope.
        raw: The request's bytes.
        now: Unix seconds.
        keys: Feed keys held, by version.
        of_site: It came by another node of the site, and may name that one.

    Raises:
        Refusal: Rules `root_expired`, `size`, `form`, `signatures`, `kind`, `format`, `log`,
            `other_node`, `order`, `future`, `expired`, `rollback`, `seal`, `content`.
    """
    root, mark = feed.base.root, feed.mark
    answer = open_signed(data, "changes", LookedUp, root, now)
    if not of_site and answer.node_id != feed.base.node_id:
        raise Refusal(Rule.OTHER_NODE, "this answer is for another node")
    if answer.asked != hashlib.sha256(raw).digest():
        raise Refusal(Rule.ORDER, "this is the answer to another question")
    # One from before the newest batch may hold what that withdrew.
    check_times(answer.issued_s, answer.expires_s, mark.issued_s, now)
    if len(answer.changes) > CHANGES_MAX:
        raise Refusal(Rule.CONTENT, f"{len(answer.changes)} changes are over the bound")
    log = lookup_log(answer.log, answer.node_id)
    changes = tuple(
        open_change(change, keys, change_bound(log, place))
        if isinstance(change, SealedChange) else change
        for place, change in enumerate(answer.changes))
    if not all(isinstance(change, _PUTS) for change in changes):
        raise Refusal(Rule.CONTENT, "an answer holds something else than records")
    check_fits(changes)
    return answer, changes


class SharedLookups(Protocol):
    """Answers that the nodes of a site got, for as long as they may be believed."""

    async def find(self, id_: bytes) -> bytes | None:
        """Give an answer's envelope by the credential asked for, None if there is none in time."""
        ...

    def keep(self, id_: bytes, value: bytes) -> None:
        """Let the others have one."""
        ...


class Lookups:
    """Asks for one node. On the event loop.

    Attributes:
        shared: What the site's nodes share; None = nothing.
    """

    def __init__(
        self, client: CentralClient, believer: Believer, now: Callable[[], float]
    ) -> None:
        """Take what calls the platform, what the node believes, and Unix seconds."""
        self._client, self._believer, self._now = client, believer, now
        self.shared: SharedLookups | None = None

    async def look_up(
        self, *, credential_ids: Sequence[bytes] = (), numbers: Sequence[str] = (), within_s: float
    ) -> tuple[int, tuple[Change, ...]]:
        """Ask; give how many were found, and what to put down.

        Raises:
            CentralError: No answer in time, or it was refused.
            FeedRefused: A trust rule is broken.
        """
        raw = msgspec.json.encode(LookupRequest(
            credential_ids=tuple(credential_ids), numbers=tuple(numbers)))
        # Guests go from gate to gate one by one; lists are asked for once.
        shared = self.shared if len(credential_ids) == 1 and not numbers else None
        if shared is not None and (known := await shared.find(credential_ids[0])) is not None:
            try:
                return self._believed(known, raw, of_site=True)
            except Refusal:
                pass  # from before our newest batch, say: the platform is asked
        data = await self._client.look_up(raw, within_s)
        found, changes = self._believed(data, raw)
        if shared is not None and found:
            shared.keep(credential_ids[0], data)
        return found, changes

    def _believed(
        self, data: bytes, raw: bytes, *, of_site: bool = False
    ) -> tuple[int, tuple[Change, ...]]:
        now = self._now()
        answer, changes = trust_lookup(
            self._believer.base.feed(now), data, raw, now, self._believer.feed_keys,
            of_site=of_site)
        return answer.found, changes
