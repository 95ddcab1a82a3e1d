"""Codes shown many times over at the nodes of a site, and what became of every showing.

- Every showing has a `request_id` and a connection of its own, so it may reach any process.
- A call that ended without an answer is made again at the same node once that is back: whether it
  was accepted is known in the end.
- An attempt to spend twice is an answered showing, beyond the first, of a code that was accepted.
"""

import asyncio
import itertools
import json
import random
import time
from collections import Counter, deque

import msgspec

from edge.protocol.kh1 import step_at
from loadtest.data import CityData
from loadtest.wallet import Crowd, Wallet
from tests.crew.site import Gate
from tests.torture.site_of_two import SiteNode

GATES_AT_ONCE, COPIES = 6, 7
CALL_S = 10.0
ALONE_SHARE = 0.5
"""Codes that are shown once before their copies are; of the others all copies come at once."""
ONE_NODE_SHARE = 0.4
"""Codes that are shown at one node only, until old codes are shown again: else what one node
forgets is known to the other's own guard."""
AGAIN_AT_ONCE = 40
RECENT_MAX = 200
UNANSWERED_MAX, ASKED_MAX = 20_000, 5


class Shown(msgspec.Struct, eq=False):
    """One code: how often it was answered, and the node and scope of each accept."""

    code: str
    step: int
    answered: int = 0
    accepts: list[tuple[str, str]] = msgspec.field(default_factory=list)

    @property
    def attempts(self) -> int:
        return self.answered - 1 if self.accepts else 0


class Found(msgspec.Struct, frozen=True):
    """What all showings came to; the first two must be nought."""

    attempts: int
    within_node: int
    with_site: int
    at_two_nodes: int

    @property
    def broken(self) -> bool:
        return self.within_node + self.with_site > 0


def count(shown: list[Shown]) -> Found:
    """Count the attempts, and the codes that were accepted twice, by how."""
    within = site = apart = 0
    for item in shown:
        at = Counter(name for name, _ in item.accepts)
        within += max(at.values(), default=0) > 1
        site += sum(scope == "site" for _, scope in item.accepts) > 1
        apart += len(at) > 1
    return Found(sum(item.attempts for item in shown), within, site, apart)


class Showings:
    """The gates of a site, over all that happens to it."""

    def __init__(self, data: CityData, nodes: list[SiteNode], chance: random.Random) -> None:
        self.nodes, self._chance = nodes, chance
        self._crowd = Crowd([Wallet(line, 1) for line in data.wallets])
        self._gates = [gate.credential for gate in data.gates]
        self._numbers = itertools.count()
        self.shown: list[Shown] = []
        self._recent: deque[Shown] = deque(maxlen=RECENT_MAX)
        self.reasons: Counter[str] = Counter()
        self.scopes: Counter[str] = Counter()
        self._unanswered: list[tuple[SiteNode, Shown, str, str, int]] = []
        self.unknown = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Show codes until told to stop."""
        await asyncio.gather(*(self._gate(stop) for _ in range(GATES_AT_ONCE)))

    def newest(self) -> list[Shown]:
        """Give some of the codes shown last, before now."""
        return self._some(list(self._recent))

    def of_step(self, step: int) -> list[Shown]:
        """Give some of the codes of a step and its neighbours."""
        return self._some([item for item in self.shown if abs(item.step - step) <= 1])

    async def again(self, items: list[Shown], *nodes: SiteNode, times: int = 1) -> None:
        """Show codes of before again, at some nodes or all."""
        for _ in range(times):
            await asyncio.gather(*(self._show(item, node) for item in items
                                   for node in nodes or self.nodes if node.up))

    def _some(self, items: list[Shown]) -> list[Shown]:
        return self._chance.sample(items, min(AGAIN_AT_ONCE, len(items)))

    async def ask_again(self) -> None:
        """Ask for the answers that weren't heard, where the node is there."""
        waiting, self._unanswered = self._unanswered, []
        for at in range(0, len(waiting), AGAIN_AT_ONCE):
            await asyncio.gather(*(
                self._call(*call) for call in waiting[at : at + AGAIN_AT_ONCE]))

    async def _gate(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            step = step_at(time.time())
            wallet = self._crowd.next(step)
            up = [node for node in self.nodes if node.up]
            if wallet is None or not up:
                await asyncio.sleep(0.05)
                continue
            item = Shown(wallet.code(step), step)
            self.shown.append(item)
            if self._chance.random() < ONE_NODE_SHARE:
                up = [self._chance.choice(up)]
            if self._chance.random() < ALONE_SHARE:
                await self._show(item, self._chance.choice(up))
            await asyncio.gather(*(
                self._show(item, self._chance.choice(up)) for _ in range(COPIES)))
            self._recent.append(item)

    async def _show(self, item: Shown, node: SiteNode) -> None:
        await self._call(node, item, f"s{next(self._numbers)}", self._chance.choice(self._gates))

    async def _call(
        self, node: SiteNode, item: Shown, request_id: str, gate: str, asked: int = 0
    ) -> None:
        status, body = 0, b""
        try:
            async with asyncio.timeout(CALL_S):
                line = await Gate(node.service.url, gate).open()
                try:
                    status, _, body = await line.show(item.code, request_id)
                finally:
                    line.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.reasons["no answer"] += 1
        if status == 200:
            self._heard(node, item, json.loads(body))
            return
        if status:
            self.reasons[f"status {status}"] += 1
        if asked < ASKED_MAX and len(self._unanswered) < UNANSWERED_MAX:
            self._unanswered.append((node, item, request_id, gate, asked + 1))
        else:
            self.unknown += 1

    def _heard(self, node: SiteNode, item: Shown, answer: dict) -> None:
        self.reasons[answer["reason"]] += 1
        item.answered += 1
        if answer["decision"] == "accept":
            scope = answer["evidence"]["replay_scope"]
            self.scopes[scope] += 1
            item.accepts.append((node.name, scope))
