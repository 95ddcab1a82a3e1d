"""What the attacks on the feed have in common: a node that believes, and its refusals."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.protocol.feed import PutCredential, PutStatus
from edge.sync.envelope import Refusal, Rule
from edge.sync.rules import RootOfTrust, TrustedFeed
from tests.fakes.city import credential, status
from tests.fakes.feed_forge import Forge

NOW_S = 1_800_000_000
NODE = "node-1"
GRANTED = PutCredential(credential())
REVOKED = PutStatus(status())


def enrolled(forge: Forge, now: float = NOW_S) -> TrustedFeed:
    """A node that just enrolled at this platform."""
    return RootOfTrust.pinned(forge.roots[0], code=forge.code, node_id=NODE).feed(now)


@contextmanager
def refused(rule: Rule) -> Iterator[None]:
    """Expect exactly this rule to be the one that refuses."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.rule is rule, f"{caught.value.rule}: {caught.value}"
