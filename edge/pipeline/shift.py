"""The last answers of each gate, for the people at it: no name, no code, no picture.

- Bounded by gate and in all; taken up again from the journal after a restart.
"""

from collections import OrderedDict, deque

from edge.protocol.journal import VerificationRecord

ENTRIES_MAX = 100
GATES_MAX = 2_000


class ShiftLog:
    """The last answers by gate."""

    def __init__(self, entries_max: int = ENTRIES_MAX, gates_max: int = GATES_MAX) -> None:
        """Begin empty."""
        self._entries_max, self._gates_max = entries_max, gates_max
        self._gates: OrderedDict[str, deque[VerificationRecord]] = OrderedDict()

    def add(self, record: VerificationRecord) -> None:
        """Take note of an answer."""
        entries = self._gates.get(record.gate_id)
        if entries is None:
            entries = self._gates[record.gate_id] = deque(maxlen=self._entries_max)
            if len(self._gates) > self._gates_max:
                self._gates.popitem(last=False)
        entries.append(record)

    def last(self, gate_id: str, limit: int) -> list[VerificationRecord]:
        """Give a gate's last answers, the newest first."""
        return list(self._gates.get(gate_id, ()))[::-1][:limit]
