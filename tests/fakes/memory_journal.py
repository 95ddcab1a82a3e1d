"""A `JournalSource` in memory; hand the object on to play a node that was killed."""

from collections.abc import Sequence

from edge.errors import JournalError
from edge.hotpath.checkpoint import Checkpoint, Countersignature


class MemoryJournal:
    """Durable records, and how far they were acknowledged."""

    def __init__(self, log: str) -> None:
        self.log = log
        self.records: list[bytes] = []
        self.acknowledged = 0
        self.retired = 0
        self.points: list[Checkpoint] = []
        self.countersigned: list[Countersignature] = []

    @property
    def size(self) -> int:
        return len(self.records)

    def read(self, first: int, records_max: int, bytes_max: int) -> Sequence[bytes]:
        if first < self.retired:
            raise JournalError(f"records before {self.retired} were retired")
        given: list[bytes] = []
        total = 0
        for record in self.records[first:first + records_max]:
            total += len(record)
            if given and total > bytes_max:
                break
            given.append(record)
        return given

    def acknowledge(self, upto: int) -> None:
        assert self.acknowledged <= upto <= self.size
        self.acknowledged = upto

    def uncountersigned(self) -> Checkpoint | None:
        done = self.countersigned[-1].size if self.countersigned else 0
        return next((p for p in self.points if done < p.size <= self.acknowledged), None)

    def keep_countersignature(self, point: Checkpoint, said: Countersignature) -> None:
        assert said.size == point.size
        self.countersigned.append(said)
