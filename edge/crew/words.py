"""What the processes of one node say to each other, and how it is framed.

- A frame is four bytes of length and a msgpack body; both ends are this same program.
- A connection to the keeper begins with a frame that says what it is: a worker's line, or a
  client's connection that is passed on.
- No key and no code goes over a line but inside the body of a call that is passed on.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from edge.errors import CapacityError, JournalError, JournalFull, OperatingError, StoreError
from edge.hotpath.statuslist import StatusList
from edge.hotpath.trust import Mode
from edge.pipeline.calls import CallError, DeadlineMissed, RequestConflict
from edge.pipeline.pace import RateExceeded
from edge.protocol.journal import Receipt
from edge.protocol.records import GateRecord, ScenePolicy

SOCKET = "workers.sock"
FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Of a whole trust with every status list; everything else is far below."""
_LENGTH = struct.Struct(">I")
State = Literal["trusted", "degraded", "untrusted"]
Scope = Literal["node", "site"]


class StoreReplaced(CapacityError):
    """A judgement was by a store that was replaced meanwhile; nothing of it was settled."""


class Asked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Judgements to be settled together.

    Attributes:
        records: As their worker would have them; what came of one is said by its place here.
        timings_ms: Of their stages so far.
    """

    number: int
    records: list[bytes]
    timings_ms: dict[str, float]


class PassedCall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A whole call of an authenticated gate that is the keeper's to answer."""

    number: int
    gate_id: str
    body: bytes


class Turn(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What came up at a worker in one turn of its loop.

    Attributes:
        store: Which opening of the store it was judged by.
        asked: To be settled.
        answered: The bytes that were answered, by the request's key.
        saw: Genuine codes, as evidence about the clock: credential id and step.
        passed: Calls for the keeper.
        problems: How many calls had no verdict, by their status; 0 is any other.
        unmade: Keys of settled requests of which no answer could be made there.
        refused: How many calls the worker itself found beyond their rate, by their gate.
    """

    store: int
    asked: list[Asked] = []
    answered: list[tuple[bytes, bytes]] = []
    saw: list[tuple[bytes, int]] = []
    passed: list[PassedCall] = []
    problems: dict[int, int] = {}
    unmade: list[bytes] = []
    refused: dict[str, int] = {}


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A worker's line begins."""

    slot: int


class Passed(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A client's connection begins; what follows is the client's bytes."""

    host: str
    port: int


class Serving(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The worker takes connections now."""


class Drained(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The worker takes none any more, and what it had is answered."""


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Records of judgements that were asked together are durable.

    Attributes:
        at: Their places among what was asked; `receipts` are in the same order.
        changed: By place, those that were journalled otherwise than they were asked.
    """

    number: int
    at: Sequence[int]
    receipts: Sequence[Receipt]
    changed: Mapping[int, bytes] = {}


class Given(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An answer that the same request got before, or the response to a call that was passed on."""

    number: int
    at: int
    answer: bytes


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A judgement wasn't settled: which error, and its words."""

    number: int
    at: int
    kind: str
    words: str
    retry_after_s: float = 1.0


class Settled(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """What came up at the keeper for a worker in one turn of its loop."""

    kept: list[Kept] = []
    given: list[Given] = []
    refused: list[Refused] = []


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """What a worker needs to begin: the node's configuration (JSON) and the port to share."""

    config: bytes
    port: int
    insecure: bool


class Beat(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The keeper lives, and this is how its clock and its guard stand.

    Attributes:
        offset_s: Wall clock minus the seconds that nobody sets.
    """

    clock: State
    offset_s: float
    scope: Scope


class Reopen(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """The store is another one now; judgements by the one before aren't settled any more."""

    store: int


class TrustTold(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=10):
    """A trust, without what the worker holds already.

    Attributes:
        days: Key epochs, which the worker reads from the sealed store by itself.
        lists: Status lists that are new.
        held: Names of all status lists of this trust.
    """

    node_id: str
    log: str
    cursor: int
    mode: Mode
    keys_as_of_s: int | None
    status_as_of_s: int | None
    keys_pending: bool
    central_clock_skew_s: float | None
    central_clock_as_of_s: float | None
    card_keys: tuple[bytes, ...]
    held: tuple[str, ...]
    lists: tuple[StatusList, ...] = ()
    policies: tuple[ScenePolicy, ...] | None = None
    gates: tuple[GateRecord, ...] | None = None
    days: tuple[int, ...] | None = None


ToKeeper = Turn | Hello | Passed | Serving | Drained
ToWorker = Settled | Welcome | Beat | Reopen | TrustTold
_ERRORS: dict[str, type[CallError] | type[OperatingError]] = {
    kind.__name__: kind for kind in (
        RequestConflict, DeadlineMissed, RateExceeded, CapacityError, JournalFull, JournalError,
        StoreError, StoreReplaced)
}
_encode = msgspec.msgpack.Encoder().encode
decode_to_keeper = msgspec.msgpack.Decoder(ToKeeper).decode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode


def framed(message: ToKeeper | ToWorker) -> bytes:
    """Give a message as it goes over a line."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Puts the bytes of a line together to frames."""

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes, give the bodies of the frames that are whole.

        Raises:
            ValueError: A frame is longer than any of ours.
        """
        held, at = self._held + data if self._held else data, 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > FRAME_BYTES_MAX:
                raise ValueError("a frame is longer than any of ours")
            end = at + _LENGTH.size + length
            if len(held) < end:
                break
            body, at = held[at + _LENGTH.size : end], end
            # Whoever takes a frame may take the rest for another protocol.
            self._held = held[at:]
            yield body
        self._held = held[at:]

    def rest(self) -> bytes:
        """Give what is held behind the last whole frame, and forget it."""
        held, self._held = self._held, b""
        return held


def refusal(number: int, at: int, error: Exception) -> Refused:
    """Say an error that isn't a verdict."""
    retry_s = error.retry_after_s if isinstance(error, CapacityError) else 1.0
    known = next((kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS), None)
    if known is None:
        return Refused(number, at, "", "the node failed; the failure is in its log")
    return Refused(number, at, known.__name__, str(error), retry_s)


def error_of(said: Refused) -> Exception:
    """Give the error that was said."""
    kind = _ERRORS.get(said.kind)
    if kind is None:
        return RuntimeError(said.words)
    if issubclass(kind, CapacityError):
        return kind(said.words, said.retry_after_s)
    return kind(said.words)
