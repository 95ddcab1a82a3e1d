"""A `JournalSource` in memory; hand the object on to play a node that was killed."""

from collections.abc import Sequence

from edge.errors import JournalError


class MemoryJournal:
    """Durable records, and how far they were acknowledged."""

    def __init__(self, log: str) -> None:
        self.log = log
        self.records: list[bytes] = []
        self.acknowledged = 0
        self.retired = 0

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
