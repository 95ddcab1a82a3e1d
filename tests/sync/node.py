"""A small node around sync, for the tests of this room."""

import asyncio
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge.hotpath.node_seal import NodeSeal
from edge.hotpath.trust import Trust
from edge.protocol.steps import DAY_S
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.follower import Follower
from edge.sync.options import FollowerOptions
from edge.sync.state import Enrolment
from tests.fakes.central_simulator import CentralSimulator
from tests.fakes.memory_store import MemoryStore

TODAY = 20_833
NOW_S = TODAY * DAY_S + 3_600
DEADLINE_S = 10.0
QUICK = FollowerOptions(
    wait_s=50, retry_first_s=0.01, retry_max_s=0.05, refused_max_s=0.05, keys_retry_s=0.01,
    early_empty_s=0.01, clock_every_s=0.0)


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, now_s: float = NOW_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Node:
    """Store, key and follower of one node, and the last trust that was published."""

    def __init__(
        self, central: CentralSimulator, clock: Clock, options: FollowerOptions = QUICK
    ) -> None:
        self.central = central
        self.clock = clock
        self.options = options
        self.store = MemoryStore()
        self.seal = NodeSeal(X25519PrivateKey.generate())
        self.trust: Trust | None = None
        self.seen: list[Trust] = []
        self.follower: Follower
        self.client: CentralClient
        self._published = asyncio.Condition()
        self._notes: set[asyncio.Task[None]] = set()

    async def enrol(self) -> Enrolment:
        client = CentralClient(self.central.url)
        try:
            self.enrolment = await enrol(
                client, self.store, code=self.central.new_code(), name="test",
                sign_public=bytes(32), seal_public=self.seal.public)
        finally:
            await client.close()
        return self.enrolment

    async def start(self) -> "Node":
        """Start on what the store holds; the node must be enrolled."""
        self.client = CentralClient(self.central.url, token=self.enrolment.token)
        self.follower = Follower(
            central=self.client, store=self.store, seal_private=self.seal,
            publish=self._publish, now=self.clock, options=self.options, jitter=lambda: 0.0)
        await self.follower.start()
        return self

    async def stop(self) -> None:
        await self.follower.stop()
        await self.client.close()

    async def until(self, holds: Callable[[Trust], bool]) -> Trust:
        """Wait for a published trust of which this holds."""
        async with asyncio.timeout(DEADLINE_S), self._published:
            await self._published.wait_for(lambda: self.trust is not None and holds(self.trust))
        assert self.trust is not None
        return self.trust

    async def settled(self) -> Trust:
        """Wait until nothing is left to ask for but further changes."""
        return await self.until(
            lambda trust: trust.mode == "online" and trust.cursor == len(self.central.log)
            and not trust.keys_pending and len(trust.keys) > 0)

    async def online(self) -> Trust:
        return await self.until(lambda trust: trust.mode == "online")

    async def offline(self) -> Trust:
        return await self.until(lambda trust: trust.mode == "offline")

    def _publish(self, trust: Trust) -> None:
        self.trust = trust
        self.seen.append(trust)
        note = asyncio.get_running_loop().create_task(self._notify())
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _notify(self) -> None:
        async with self._published:
            self._published.notify_all()
