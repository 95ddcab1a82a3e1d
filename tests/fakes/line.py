"""An honest line between a keeper and a process beside it, without a socket: frames and all."""

import asyncio
from collections.abc import Mapping

from edge.crew.words import (
    Asked,
    Kept,
    Settled,
    Turn,
    decode_to_keeper,
    decode_to_worker,
    error_of,
    framed,
    refusal,
)
from edge.pipeline.codes import SettledRecord
from edge.pipeline.settling import Settler
from edge.protocol.journal import Receipt, VerificationRecord, decode_record, encode_record


class FakeLine:
    """Implements the keeper for a `CodeVerifier`, and the asker for a `Settler`."""

    scope, site = "node", None

    def __init__(self, settler: Settler) -> None:
        self.settler, self.lost, self.deaf = settler, False, False
        self._numbers = 0
        self._waiting: dict[int, tuple[asyncio.Future, VerificationRecord]] = {}

    def check(self) -> None:
        """Hears its keeper always."""

    def settle(self, record: VerificationRecord, timings_ms: Mapping[str, float]):
        self._numbers += 1
        future = asyncio.get_running_loop().create_future()
        self._waiting[self._numbers] = (future, record)
        turn = Turn(0, [Asked(self._numbers, encode_record(record), dict(timings_ms))])
        for asked in decode_to_keeper(framed(turn)[4:]).asked:
            self.settler.settle(self, asked.number, asked.record, asked.timings_ms)
        return future

    def answered(self, number: int, answer: bytes) -> None:
        if not self.deaf:
            self.settler.answered(self, number, answer)

    def kept(self, number: int, receipt: Receipt, record: bytes) -> None:
        said = decode_to_worker(framed(Settled([Kept(number, receipt, record)]))[4:]).kept[0]
        future, asked = self._waiting.pop(number)
        settled = decode_record(said.record) if said.record else asked
        future.set_result(SettledRecord(number, settled, said.receipt))

    def given(self, number: int, answer: bytes) -> None:
        self._waiting.pop(number)[0].set_result(answer)

    def refused(self, number: int, error: Exception) -> None:
        said = decode_to_worker(framed(Settled(refused=[refusal(number, error)]))[4:]).refused[0]
        self._waiting.pop(number)[0].set_exception(error_of(said))

    def die(self) -> None:
        self.lost = True
        self.settler.forget(self)
