"""An honest line between a keeper and a process beside it, without a socket: frames and all."""

from collections.abc import Callable, Mapping, Sequence

from edge.crew.waiting import Told, Waiting
from edge.crew.words import (
    Asked,
    Given,
    Kept,
    Settled,
    Turn,
    decode_to_keeper,
    decode_to_worker,
    framed,
    refusal,
)
from edge.pipeline.answer import Outcome
from edge.pipeline.settling import Settler
from edge.protocol.journal import Receipt, VerificationRecord, encode_record


class FakeLine:
    """Implements the keeper for a `CodeVerifier`, and the asker for a `Settler`."""

    scope, site = "node", None

    def __init__(self, settler: Settler) -> None:
        self.settler, self.lost, self.deaf = settler, False, False
        self.turns: list[int] = []
        self._waiting = Waiting()

    def check(self) -> None:
        """Hears its keeper always."""

    def keep(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float],
        settled: Callable[[Told], None],
    ) -> None:
        self.turns.append(len(records))
        number = self._waiting.add(len(records), settled)
        turn = Turn(0, [Asked(number, [encode_record(record) for record in records],
                              dict(timings_ms))])
        for asked in decode_to_keeper(framed(turn)[4:]).asked:
            self.settler.settle(self, asked.number, asked.records, asked.timings_ms)

    def settle(self, key: bytes, outcome: Outcome) -> None:
        if not self.deaf:
            self.settler.answered(self, key, outcome.body)

    def fail(self, key: bytes, error: BaseException) -> None:
        """Says nothing."""

    def unmade(self, key: bytes, error: Exception) -> None:
        self.settler.unmade(self, key)

    def kept(
        self, number: int, at: Sequence[int], receipts: Sequence[Receipt],
        changed: Mapping[int, bytes],
    ) -> None:
        self._hear(Settled([Kept(number, at, receipts, changed)]))

    def given(self, number: int, at: int, answer: bytes) -> None:
        self._hear(Settled(given=[Given(number, at, answer)]))

    def refused(self, number: int, at: int, error: Exception) -> None:
        self._hear(Settled(refused=[refusal(number, at, error)]))

    def die(self) -> None:
        self.lost = True
        self.settler.forget(self)

    def _hear(self, settled: Settled) -> None:
        self._waiting.take(decode_to_worker(framed(settled)[4:]))
