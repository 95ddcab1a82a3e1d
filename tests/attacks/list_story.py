"""What the attacks on status lists have in common: a node that holds one list."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.hotpath.statuslist import StatusList, make_token, pack
from edge.protocol.feed import Root, list_uri
from edge.protocol.records import Status
from edge.sync.envelope import Refusal, Rule, open_envelope, parse_body
from edge.sync.lists import ListKeeper
from tests.fakes.feed_forge import LOG, Forge
from tests.fakes.memory_store import MemoryStore

NOW_S = 1_800_000_000


class SilentPlatform:
    """Sends nothing: whatever comes is brought by the attacker."""

    async def status_list(self, number: int, tag: str) -> None:
        return None


class Node:
    """A node that believes status lists of one platform."""

    def __init__(self, store: MemoryStore | None = None, forge: Forge | None = None) -> None:
        self.now = float(NOW_S)
        self.forge = forge or Forge(NOW_S)
        self.root = parse_body(open_envelope(self.forge.roots[0]), Root)
        self.store = store or MemoryStore()
        self.keeper = ListKeeper(
            source=SilentPlatform(), store=self.store, root=lambda: self.root,  # type: ignore[arg-type]
            publish=lambda _: None, now=lambda: self.now)

    def token(
        self, *values: int, issued_s: int = NOW_S, key: Ed25519PrivateKey | None = None,
        **differently: object,
    ) -> bytes:
        honest = StatusList(
            uri=list_uri(LOG, 0), bits=2, statuses=pack(values, 2), issued_s=issued_s,
            expires_s=issued_s + 86_400, ttl_s=300)
        made = msgspec.structs.replace(honest, **differently)
        return make_token(made, key or self.forge.keys.status[0])

    def status(self, index: int = 0) -> Status | None:
        held = self.keeper.lists.get(list_uri(LOG, 0))
        return None if held is None else held.status(index, self.now)


@asynccontextmanager
async def knowing(*values: int, **more: object) -> AsyncIterator[Node]:
    """A node that holds a list of these values."""
    node = Node(**more)  # type: ignore[arg-type]
    await node.keeper.start()
    if values:
        await node.keeper.believe(0, node.token(*values))
    try:
        yield node
    finally:
        await node.keeper.stop()


@contextmanager
def refused(rule: Rule) -> Iterator[None]:
    """Expect exactly this rule to be the one that refuses."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.rule is rule, f"{caught.value.rule}: {caught.value}"
