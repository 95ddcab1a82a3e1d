"""What the attacks on snapshots have in common: a node that takes one in, step by step."""

from edge.protocol.feed import PutCredential, PutStatus
from edge.sync.rules import Mark, RootOfTrust, TrustedFeed
from edge.sync.snapshot import TrustedSnapshot, trust_timestamp
from tests.attacks.feed_story import NODE, NOW_S
from tests.fakes.city import credential, status
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import KEYS, Forged

HELD = [PutCredential(credential()), PutStatus(status())]


def at(forge: Forge, **mark: int) -> TrustedFeed:
    """A node that has believed that far."""
    return RootOfTrust.restored(
        forge.roots[-1], node_id=NODE, mark=Mark(**mark)).feed(NOW_S)


def believed(feed: TrustedFeed, forged: Forged, now: float = NOW_S) -> TrustedSnapshot:
    """Believe timestamp and snapshot."""
    return trust_timestamp(feed, forged.timestamp, now).snapshot(forged.snapshot, now)


def taken(feed: TrustedFeed, forged: Forged) -> Mark:
    """Take a whole snapshot in."""
    snapshot = believed(feed, forged)
    for number, data in enumerate(forged.parts):
        snapshot.part(number, data, KEYS)
    return snapshot.mark()
