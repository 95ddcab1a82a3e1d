"""What one verification needs of the rooms beside it, as the pipeline sees them.

- Adapters implement these structurally; the pipeline imports no adapter.
- `sync` methods are called on the event loop only where the docstring says it
  takes microseconds; everything else runs on the worker pool or is awaited.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from edge.errors import JournalError, StoreError
from edge.hotpath.holder import Comparison, Probe, ProbeFault, Template
from edge.hotpath.qr.reading import CodeReading
from edge.hotpath.timing import ClockState
from edge.protocol.journal import JournalRecord, Receipt, VerificationRecord
from edge.protocol.records import CredentialRecord, ReferenceRecord, ScenePolicy, StatusRecord

Scope = Literal["node", "site"]
Standing = tuple[CredentialRecord | None, StatusRecord | None]
"""A credential, and its status if it is anything but valid since it was issued, of one moment."""
Spend = tuple[bytes, int, bytes]
"""A presentation that is to be spent: its credential's id (16 bytes); its step, already inside the
drift window; and its showing, 16 bytes that identify the gate's request: the same showing of the
same step is not a second one."""
Settled = Callable[[Sequence[Receipt | JournalError]], None]
"""Is told what became of records that were appended together; raises nothing."""


class CodeReader(Protocol):
    """Turns a frame into texts (edge.capture). Blocking and thread-safe."""

    def read(self, image: bytes) -> CodeReading:
        """Read every code in one encoded image.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        ...


class FaceEngine(Protocol):
    """Turns captures into a probe (edge.models). Blocking and thread-safe."""

    @property
    def pack_id(self) -> str:
        """Id of the pack, as references name it."""
        ...

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        """Detect, align, embed and judge the quality of one capture (a burst of frames).

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        ...


class ErrorRates(Protocol):
    """Turns a scene's error rates into a threshold. Takes microseconds."""

    def comparison(
        self, policy: ScenePolicy, probe: Probe, reference: ReferenceRecord | None
    ) -> Comparison | None:
        """Say how this comparison is scored and judged, None if the pack is unfit."""
        ...


class Clock(Protocol):
    """The node's idea of time (edge.clock)."""

    def now_s(self) -> float:
        """Give Unix seconds."""
        ...

    @property
    def state(self) -> ClockState:
        """How far that can be believed."""
        ...

    def saw(self, credential_id: bytes, step: int) -> None:
        """Hear a code whose MAC held, in time or not: evidence about the clock."""
        ...


class Observer(Protocol):
    """Is told of every answer (edge.metrics). Takes microseconds, raises nothing."""

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Take note of an answer that is durable."""
        ...

    def observed_all(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float]
    ) -> None:
        """Take note of answers that are durable and took these times, each of them."""
        ...


class Standings(Protocol):
    """What a code alone is held against. Takes microseconds."""

    def standing(self, credential_id: bytes) -> Standing:
        """Give how a credential stands.

        Raises:
            StoreError: What is held of it can't be read.
        """
        ...

    def standings(self, credential_ids: Sequence[bytes]) -> list[Standing | StoreError]:
        """Give how each of some credentials stands, all of one moment.

        What can't be read of one is its own error, and nobody else's.

        Raises:
            StoreError: Nothing can be read.
        """
        ...


class CredentialCache(Standings, Protocol):
    """What the node holds of the city (edge.cache). Each call takes microseconds."""

    def credential(self, credential_id: bytes) -> CredentialRecord | None:
        """Look a credential up."""
        ...

    def status(self, credential_id: bytes) -> StatusRecord | None:
        """Give its status if it is anything but valid since it was issued."""
        ...

    def reference(self, holder_id: bytes, pack: str) -> ReferenceRecord | None:
        """Look up the reference of a holder for one pack, in stored space."""
        ...

    def protect(self, template: Template, pack: str, generation: int) -> Template:
        """Give a template as stored rows are: rotated into that generation's space, int8.

        For searches and cohorts; two such rows compare to a few thousandths.

        Raises:
            StoreError: References aren't of that generation any more.
        """
        ...

    def protect_probe(self, probe: Probe, reference: ReferenceRecord | None) -> Probe:
        """Bring a probe into the space of a reference; without one it stays as it is.

        `template` becomes what `protect` gives; with `fine` it compares exactly.

        Raises:
            StoreError: The reference is of another generation than those held now.
        """
        ...


class IdentityCache(CredentialCache, Protocol):
    """What an identification needs of it besides."""

    @property
    def generation(self) -> int:
        """The generation that every reference held is of."""
        ...

    def credentials_of(self, holder_id: bytes) -> list[CredentialRecord]:
        """Give what is held of a holder's credentials."""
        ...


class Gallery(Protocol):
    """The references that may be identified (edge.cache). Blocking and thread-safe."""

    def __len__(self) -> int:
        """Count them."""
        ...

    def search(self, template: Template) -> tuple[list[tuple[bytes, float]], int]:
        """Find the references most like a probe in stored space.

        Returns:
            Up to two (holder id, cosine), descending, and how many references were searched.
        """
        ...


class SiteGuard(Protocol):
    """Remembers what is spent at all nodes of a site (edge.cache)."""

    @property
    def scope(self) -> Literal["node", "site"]:
        """How far a code of this step would be spent."""
        ...

    async def spend(
        self, credential_id: bytes, step: int, showing: bytes
    ) -> Literal["site", "node", "spent"]:
        """Spend a presentation at the site that the node's own guard has just spent.

        Takes no longer than its deadline and raises nothing.

        Returns:
            `site`: it wasn't spent at any node, by a memory whole for its step; `node`: that
            can't be said, the node's own guard counts alone; `spent`: another showing has spent it.
        """
        ...


class Reach(Protocol):
    """How far what is spent is known of."""

    @property
    def site(self) -> SiteGuard | None:
        """What is to be asked after this one; None for a node on its own."""
        ...

    @property
    def scope(self) -> Scope:
        """How far this memory alone reaches: whoever doesn't ask the site can't claim it."""
        ...


class ReplayGuard(Reach, Protocol):
    """Remembers what is spent (edge.cache). Takes microseconds."""

    def spend_all(self, spends: Sequence[Spend], now_step: int) -> list[bool]:
        """Spend presentations once each, in their order, by one atomic check-and-set of all.

        Args:
            spends: What is to be spent.
            now_step: The step of these judgements.

        Returns:
            Of each: True if it is spent by this showing, False if its step is at or below the
            highest step spent by another one.

        Raises:
            StoreError: The memory can't be written; nothing is spent, nothing may be accepted.
        """
        ...


class Journal(Protocol):
    """The durable record (edge.audit)."""

    def check(self) -> None:
        """Insist that a record could be promised now. Takes microseconds.

        Raises:
            JournalError: It couldn't.
        """
        ...

    def append(self, record: JournalRecord) -> Awaitable[Receipt]:
        """Append; what is given is there when the record is durable.

        Raises:
            JournalError: It can't be promised (disk full, failed, closed).
        """
        ...

    def append_all(self, records: Sequence[JournalRecord], settled: Settled) -> None:
        """Append records together; `settled` is told on the event loop when they are durable.

        Raises:
            JournalError: They can't be promised; then `settled` isn't called.
        """
        ...
