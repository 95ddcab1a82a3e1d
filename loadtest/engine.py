"""The open loop: requests leave when they are due, whatever became of those before.

- No coordinated omission: arrivals are fixed beforehand, and a latency begins when its request
  was due.
- A capture is two requests; the second leaves when the first says that the face is missing.
- Bounded: seconds, requests, and seconds of waiting for the last answers.
"""

import asyncio
import time
from collections.abc import Iterator

import msgspec

from loadtest.client import Client
from loadtest.pacer import Pacer
from loadtest.scenes import Ask, Reply, Scenes
from loadtest.tally import Tally

DRAIN_POLL_S = 0.05
DRAIN_S_MAX = 150.0
YIELD_EVERY = 64
"""Requests sent in a row when behind, before answers are read again."""
_EXPECTED = "accept/ok"
_FIRST = "retry/face_absent"


class Load:
    """Puts one target under load."""

    def __init__(self, client: Client, scenes: Scenes) -> None:
        """Take the client and what is asked."""
        self._client, self._scenes = client, scenes
        self._decode = msgspec.json.Decoder(Reply).decode
        self._open = 0

    async def run(self, due: Iterator[float], tally: Tally, requests_max: int) -> Tally:
        """Send everything that is due and wait for its end.

        Args:
            due: Seconds from now, ascending.
            tally: Takes what happens.
            requests_max: Bound of requests.
        """
        pacer = Pacer()
        start = time.monotonic()
        try:
            for count, at in enumerate(due):
                if count >= requests_max:
                    break
                await pacer.until(start + at)
                if count % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                tally.begun(at, time.monotonic() - start - at)
                self._begin(tally, start, at)
            # Every request ends: the client's timeout bounds this, twice for a capture.
            last = time.monotonic() + DRAIN_S_MAX
            while self._open:
                if time.monotonic() > last:
                    raise RuntimeError(f"{self._open} requests never ended")
                await asyncio.sleep(DRAIN_POLL_S)
        finally:
            pacer.close()
        tally.took_s = time.monotonic() - start
        return tally

    def _begin(self, tally: Tally, start: float, due: float) -> None:
        ask = self._scenes.next()
        if isinstance(ask, str):
            tally.ended(ask, "no fresh wallet", due, due, good=False, ok=False)
            return
        self._open += 1
        self._client.send(
            ask.data, lambda status, body: self._first(ask, tally, start, due, status, body))

    def _first(
        self, ask: Ask, tally: Tally, start: float, due: float, status: int, body: bytes
    ) -> None:
        outcome, reply = self._outcome(status, body)
        if ask.kind == "capture" and outcome == _FIRST and reply is not None:
            self._client.send(
                self._scenes.capture(ask, reply.verification_id),
                lambda status, body: self._last(ask, tally, start, due, status, body))
            return
        if ask.kind == "capture" and outcome == _EXPECTED:
            outcome = "accept without a face"
        self._end(ask, tally, start, due, outcome, status)

    def _last(
        self, ask: Ask, tally: Tally, start: float, due: float, status: int, body: bytes
    ) -> None:
        self._end(ask, tally, start, due, self._outcome(status, body)[0], status)

    def _end(
        self, ask: Ask, tally: Tally, start: float, due: float, outcome: str, status: int
    ) -> None:
        self._open -= 1
        tally.ended(ask.kind, outcome, due, time.monotonic() - start,
                    good=outcome == _EXPECTED, ok=status == 200)

    def _outcome(self, status: int, body: bytes) -> tuple[str, Reply | None]:
        if status != 200:
            return f"http {status}" if status else body.decode("ascii"), None
        try:
            reply = self._decode(body)
        except msgspec.MsgspecError:
            return "unreadable answer", None
        return f"{reply.decision}/{reply.reason}", reply
