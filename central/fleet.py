"""What is measured of the fleet when the platform is scraped: every node, and the feed's head."""

import msgspec
from sqlalchemy import select

from central import nodes
from central.schema import Policy
from central.store import Transaction

NODES_MAX = 500
TEXT_CHARS_MAX = 64


class NodeReading(msgspec.Struct, frozen=True, kw_only=True):
    """A node that isn't revoked; what it reports itself is None until it does."""

    node_id: str
    name: str
    version: str
    pack: str
    silent_s: int
    ready: bool | None
    behind: int | None
    unshipped: int | None


class Fleet(msgspec.Struct, frozen=True):
    """Nodes (the first `NODES_MAX`), how many there are and were revoked, the feed's head."""

    nodes: list[NodeReading]
    enrolled: int
    revoked: int
    head: int


def read_fleet(tx: Transaction) -> Fleet:
    """Read it."""
    head, every = tx.head(), nodes.list_nodes(tx)
    alive = [node for node in every if node.revoked_s is None]
    return Fleet([_reading(node, tx.now_s, head) for node in alive[:NODES_MAX]],
                 len(alive), len(every) - len(alive), head)


def known_scenes(tx: Transaction) -> frozenset[str]:
    """Name the scenes that have or had a policy."""
    return frozenset(tx.session.scalars(select(Policy.scene).distinct()))


def _reading(node: nodes.NodeShown, now_s: int, head: int) -> NodeReading:
    report = node.report
    return NodeReading(
        node_id=node.node_id, name=node.name[:TEXT_CHARS_MAX], silent_s=now_s - node.seen_s,
        version=report.version[:TEXT_CHARS_MAX] if report else "",
        pack=report.face_pack[:TEXT_CHARS_MAX] if report else "",
        ready=report.ready if report else None,
        behind=max(0, head - report.cursor) if report else None,
        unshipped=report.unshipped if report else None,
    )
