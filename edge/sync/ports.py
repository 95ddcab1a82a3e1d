"""What sync needs of the rooms beside it: a store, a journal, a central platform.

- Siblings are strangers: edge.cache and edge.audit implement these structurally.
- Store and journal calls block; sync runs them on a worker thread, one at a time.
- What one call is given is durable, all or none of it, when it returns.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from edge.errors import CentralError
from edge.hotpath.checkpoint import Checkpoint, CheckpointAnswer, Countersignature
from edge.protocol.feed import Change
from edge.protocol.journal import JournalUpload
from edge.protocol.records import EpochKeys, GateRecord, ScenePolicy, StatusRecord
from edge.sync.rules import Mark, RootOfTrust


class CentralRefused(CentralError):
    """The platform answered that it doesn't know this node, or no longer."""


class CentralSilent(CentralError):
    """The platform didn't answer in time."""


class CentralGone(CentralError):
    """The platform doesn't keep the changes that were asked for any more."""


class FeedStore(Protocol):
    """Where believed changes live, together with how far this node has believed.

    `meta` holds small values by name; names are at most 64 characters, values at most
    64 KiB, both encrypted at rest.
    """

    def meta(self, name: str) -> bytes | None:
        """Give a value kept beside the changes, None if there is none.

        Raises:
            StoreError: The store can't be read.
        """
        ...

    def policies(self) -> Mapping[str, ScenePolicy]:
        """Give every policy held, by scene."""
        ...

    def gates(self) -> Mapping[str, GateRecord]:
        """Give every gate held, by gate id, revoked ones too."""
        ...

    def epochs(self) -> Sequence[EpochKeys]:
        """Give the key epochs held, ascending."""
        ...

    def apply(self, changes: Sequence[Change], cursor: int, meta: Mapping[str, bytes]) -> None:
        """Put changes, cursor and meta down in one transaction.

        Lookups that begin after it returned see the changes.

        Args:
            changes: In the feed's order.
            cursor: Number of the first change after them.
            meta: Values to replace beside them.

        Raises:
            StoreError: Nothing of it was written.
        """
        ...

    def status(self, credential_id: bytes) -> StatusRecord | None:
        """Give a credential's status if it is anything but valid.

        Raises:
            StoreError: The store can't be read.
        """
        ...

    def take_in(self, changes: Sequence[Change], since_s: int, end_s: int) -> None:
        """Put an answer down in one transaction; the cursor stays where it is.

        Where a part of the city is held, its credentials stay until `end_s` at least.

        Raises:
            StoreError: Nothing of it was written.
        """
        ...

    def put_epochs(self, epochs: Sequence[EpochKeys], meta: Mapping[str, bytes]) -> None:
        """Hold exactly these key epochs, and meta, in one transaction.

        Raises:
            StoreError: Nothing of it was written.
        """
        ...

    def keep(self, meta: Mapping[str, bytes]) -> None:
        """Put values down beside the changes, in one transaction; safe beside another writer.

        Raises:
            StoreError: Nothing of it was written.
        """
        ...

    def adopt(self, folder: Path, cursor: int, meta: Mapping[str, bytes]) -> None:
        """Go on with a store that was built in a folder; epochs and meta are taken over.

        Raises:
            StoreError: The store stays as it was.
        """
        ...

    def drop_epochs(self, key_epochs: Sequence[int]) -> None:
        """Forget these key epochs for good.

        Raises:
            StoreError: Nothing of it was written.
        """
        ...


class Built(msgspec.Struct, frozen=True):
    """A store made of a snapshot, beside the one in use.

    Attributes:
        folder: Where it is.
        mark: How far one has believed who holds it.
        records: How many it holds.
    """

    folder: str
    mark: Mark
    records: int


class BuildOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What building a store needs to know of the node's belief."""

    base: RootOfTrust
    feed_keys: dict[int, bytes]


class Builder(Protocol):
    """Makes a store of the newest snapshot, in a process of its own."""

    @property
    def progress(self) -> str:
        """How far it is, in words; empty while nothing is built."""
        ...

    async def build(self, order: BuildOrder) -> Built:
        """Fetch the newest snapshot and make a store of it; goes on where it was cut off.

        Raises:
            CentralError: The platform can't be reached or refused.
            FeedRefused: A trust rule is broken.
            StoreError: It can't be written.
        """
        ...


class JournalSource(Protocol):
    """The node's journal as the shipper reads it."""

    @property
    def log(self) -> str:
        """Name of the log."""
        ...

    @property
    def size(self) -> int:
        """How many records are durable: the index of the next one."""
        ...

    @property
    def acknowledged(self) -> int:
        """Index of the first record that the central platform may not hold."""
        ...

    def read(self, first: int, records_max: int, bytes_max: int) -> Sequence[bytes]:
        """Give durable records from `first` on, as their exact bytes, within both bounds.

        At least one is given if there is any, whatever its size.

        Raises:
            JournalError: They can't be read, or were retired already.
        """
        ...

    def acknowledge(self, upto: int) -> None:
        """Remember durably that the platform holds every record before `upto`.

        Raises:
            JournalError: It can't be written.
        """
        ...

    @property
    def countersigned(self) -> int:
        """Records that the platform counter-signed."""
        ...

    def uncountersigned(self, upto: int | None = None) -> Checkpoint | None:
        """Give the checkpoint that the platform can counter-sign next, None if there is none.

        `upto` is how many records it will hold then; None = what it acknowledged.
        """
        ...

    def keep_countersignature(self, point: Checkpoint, said: Countersignature) -> None:
        """Keep the platform's counter-signature of a checkpoint durably.

        Raises:
            JournalError: It isn't the platform's, or can't be written.
        """
        ...


class ShipAnswer(msgspec.Struct, frozen=True):
    """What the platform said to an upload.

    Attributes:
        next: It holds every record before this index.
        conflict: It refused the upload (409): a gap, or it holds other content.
    """

    next: int
    conflict: bool


class ListAnswer(msgspec.Struct, frozen=True):
    """What the platform said of a status list.

    Attributes:
        token: The signed list, None if it is still the one of the tag that was named.
        tag: Its tag (RFC 9110 §8.8.3), to name the next time.
    """

    token: bytes | None
    tag: str


class Central(Protocol):
    """The calls of the central platform that sync makes; bytes come unjudged.

    Every call raises `CentralError` when it fails, and `FeedRefused` when the answer is
    larger than anything it may be.
    """

    async def feed(self, cursor: int, wait_s: int) -> bytes:
        """Wait up to `wait_s` for changes from `cursor` on; an envelope."""
        ...

    async def keys(self) -> bytes:
        """Fetch this node's key delivery; an envelope."""
        ...

    async def timestamp(self) -> bytes | None:
        """Fetch the name of the newest snapshot; an envelope, None if there is none."""
        ...

    async def root(self, version: int) -> bytes | None:
        """Fetch a version of the root; an envelope, None if there is no such version."""
        ...

    async def time(self) -> float:
        """Ask for the platform's clock, Unix seconds. Not signed."""
        ...

    async def ship(self, upload: JournalUpload) -> ShipAnswer:
        """Hand over journal records."""
        ...

    async def status_list(self, number: int, tag: str) -> ListAnswer | None:
        """Fetch one status list unless it is still that of the tag; None if there is none."""
        ...

    async def countersign(self, point: Checkpoint) -> CheckpointAnswer:
        """Have a checkpoint counter-signed; a refusal is an answer, not an error."""
        ...
