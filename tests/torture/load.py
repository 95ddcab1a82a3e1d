"""Gates that present codes without a pause, and remember every answer they were given.

- Each code is presented once under a `request_id` of its own; some at once a second time under
  another, some again after a kill: under the same `request_id`, and under a new one.
- A call that ends without an answer is remembered too: nobody knows whether it was recorded.
"""

import asyncio
import itertools
import random
import time

import aiohttp
import msgspec

from edge.protocol.kh1 import step_at
from loadtest.data import CityData
from loadtest.wallet import Crowd, Wallet

SCENE = "office.gatehouse"
GATES_AT_ONCE = 12
CALL_S = 10.0
TWICE_SHARE = 0.2
AGAIN_MAX = 60
"""Codes of before a kill that are presented again after it."""


class Shown(msgspec.Struct, kw_only=True):
    """One code presented under one request_id, and what came of it."""

    code: str
    request_id: str
    step: int
    gate: str
    answer: dict | None = None


class Load:
    """The gates of one city, over all its kills."""

    def __init__(
        self, data: CityData, chance: random.Random, *, twice: float = TWICE_SHARE, copies: int = 1
    ) -> None:
        """Take a city; `twice` of all codes are shown in so many further copies at once."""
        self._twice, self._copies = twice, copies
        self._crowd = Crowd([Wallet(line, 1) for line in data.wallets])
        self._gates = [gate.credential for gate in data.gates]
        self._chance, self._numbers = chance, itertools.count()
        self.shown: list[Shown] = []
        self.refusals = 0
        self.unanswered = 0

    async def run(self, url: str, stop: asyncio.Event) -> None:
        """Present codes until told to stop."""
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_S)
        ) as session:
            await asyncio.gather(*(
                self._gate(session, url, gate, stop)
                for gate in itertools.islice(itertools.cycle(self._gates), GATES_AT_ONCE)))

    async def _gate(self, session, url, gate, stop) -> None:
        while not stop.is_set():
            step = step_at(time.time())
            wallet = self._crowd.next(step)
            if wallet is None:
                await asyncio.sleep(0.05)
                continue
            code = wallet.code(step)
            first = self._remember(code, step, gate)
            calls = [self.present(session, url, first)]
            if self._chance.random() < self._twice:
                calls += (self.present(session, url, self._remember(code, step, gate))
                          for _ in range(self._copies))
            await asyncio.gather(*calls)

    async def again(self, url: str) -> list[str]:
        """Present the newest codes again; give what is wrong with the answers."""
        recent = self.shown[-AGAIN_MAX:]
        wrong = []
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_S)
        ) as session:
            for item in recent:
                same = Shown(code=item.code, request_id=item.request_id, step=item.step,
                             gate=item.gate)
                await self.present(session, url, same)
                if same.answer is None:
                    wrong.append(f"{item.request_id}: no answer after the restart")
                elif item.answer is None:
                    item.answer = same.answer
                elif item.answer != same.answer:
                    wrong.append(f"{item.request_id}: another answer after the restart")
                other = self._remember(item.code, item.step, item.gate)
                await self.present(session, url, other)
        return wrong

    async def present(self, session, url: str, item: Shown) -> None:
        body = {"scene": SCENE, "request_id": item.request_id, "presentation": item.code}
        try:
            async with session.post(
                url + "/v1/verifications", json=body,
                headers={"Authorization": f"Bearer {item.gate}"},
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            self.unanswered += 1
            return
        if response.status == 200:
            item.answer = answer
        else:
            self.refusals += 1

    def attempts(self) -> int:
        """Count the attempts to spend a code that was shown before."""
        return len(self.shown) - len({item.code for item in self.shown})

    def accepted_twice(self) -> list[str]:
        """Give the codes that were accepted under more than one request_id."""
        by_code: dict[str, set[str]] = {}
        for item in self.shown:
            if item.answer is not None and item.answer["decision"] == "accept":
                by_code.setdefault(item.code, set()).add(item.request_id)
        return [f"a code was accepted under {sorted(ids)}"
                for ids in by_code.values() if len(ids) > 1]

    def _remember(self, code: str, step: int, gate: str) -> Shown:
        item = Shown(code=code, request_id=f"t{next(self._numbers)}", step=step, gate=gate)
        self.shown.append(item)
        return item
