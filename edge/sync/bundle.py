"""A bundle brought to a node that has no network: checked whole, then believed.

- First pass: every rule that the wire knows, over the whole file, and nothing is stored. Second
  pass: the believer, batch by batch, by the same rules once more. A refusal in the first changes
  nothing; a power cut in the second leaves what a cut connection would, and the same bundle can be
  brought again.
- The node is stopped meanwhile: one process at a time believes.
- Not here: where packs are put, and the journal's lock (the caller's).
"""

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import msgspec
from cryptography.exceptions import InvalidTag

from edge.errors import FeedRefused, PackError
from edge.hotpath.checkpoint import Checkpoint, Countersignature
from edge.hotpath.node_seal import NodeSeal
from edge.protocol.bundle import (
    BUNDLE_MAGIC,
    CHANGES,
    END,
    HEAD,
    KEY_INFO,
    KEYS,
    PACK,
    PACK_FILES_MAX,
    PACKS_MAX,
    ROOT,
    BundledFile,
    BundleHead,
    Sealer,
)
from edge.protocol.feed import KeyDelivery, Root
from edge.protocol.sections import SectionFault, read_sections
from edge.sync.believer import Believer
from edge.sync.envelope import Refusal, Rule, open_envelope, parse_body
from edge.sync.ports import JournalSource
from edge.sync.rules import RootOfTrust, TrustedFeed
from edge.sync.sealing import open_epochs, open_feed_keys


class PackSink(Protocol):
    """Where packs go; blocking."""

    def begin(self, pack: str, file: BundledFile) -> None:
        """Begin the next file of a pack."""

    def write(self, data: bytes) -> None:
        """Go on with it."""

    def end(self) -> None:
        """Put the packs that came in place.

        Raises:
            PackError: One can't serve.
        """


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle brought. `first` and `cursor` are of the node: held before, and after."""

    issued_s: int
    first: int
    cursor: int
    key_epochs: tuple[int, ...]
    acknowledged: int
    packs: tuple[str, ...]


class _Trial:
    """Believes without storing: the rules alone, from where the node stands."""

    def __init__(self, base: RootOfTrust, seal: NodeSeal, now: float) -> None:
        self.base, self._seal, self._now = base, seal, now

    def root(self, data: bytes) -> None:
        """Believe a new root."""
        self.base = self.base.rotated(data)

    def changes(self, data: bytes) -> None:
        """Believe a batch of changes."""
        feed, _ = self._feed().changes(data, self._now, carried=True)
        self.base = feed.base

    def keys(self, data: bytes) -> KeyDelivery:
        """Believe a delivery of keys, which must open."""
        feed, delivery = self._feed().keys(data, self._now, carried=True)
        open_epochs(delivery, self._seal)
        open_feed_keys(delivery, self._seal)
        self.base = feed.base
        return delivery

    def _feed(self) -> TrustedFeed:
        return self.base.feed(self._now)


class Bundle:
    """One bundle, read for one node."""

    def __init__(self, file: BinaryIO, seal: NodeSeal) -> None:
        """Take an open file and the node's sealing key."""
        self._file, self._seal = file, seal

    def check(self, base: RootOfTrust, journal: JournalSource, now: float) -> BundleHead:
        """Hold the whole file against every rule; nothing is stored.

        Raises:
            FeedRefused: It isn't for this node, isn't whole, isn't new, or breaks a rule.
            PackError: A pack's file differs from its checksum.
        """
        trial = _Trial(base, self._seal, now)
        head: BundleHead | None = None
        sums = _Sums()
        came: list[bytes] = []
        for kind, payload in self._sections(trial, now):
            if kind == HEAD:
                head = trial.base.feed(now).bundle(payload, now)
                _check_journal(head, journal)
                sums.expect(head)
            elif kind == CHANGES:
                trial.changes(payload)
            elif kind == KEYS:
                trial.keys(payload)
            elif kind == PACK:
                sums.hear(payload)
            came.append(kind)
        if head is None or CHANGES not in came or came.count(KEYS) != 1:
            raise FeedRefused("the bundle lacks its head, its changes or its keys")
        if trial.base.mark.lag:
            raise FeedRefused(f"the bundle lacks the last {trial.base.mark.lag} changes")
        sums.end()
        return head

    async def bring(
        self, believer: Believer, journal: JournalSource, sink: PackSink, now: float
    ) -> Brought:
        """Check the whole, then believe it; the believer was loaded.

        Raises:
            FeedRefused, PackError: As `check`; nothing was changed.
            StoreError, JournalError: It couldn't be put down whole; bring it again.
        """
        first = believer.mark.cursor
        head = self.check(believer.base, journal, now)
        files = _Files(head, sink)
        for kind, payload in self._sections(_Trial(believer.base, self._seal, now), now):
            if kind == ROOT:
                await believer.root(payload)
            elif kind == CHANGES:
                await believer.changes(payload, carried=True)
            elif kind == KEYS:
                await believer.keys(payload, carried=True)
            elif kind == PACK:
                files.hear(payload)
        sink.end()
        if head.journal_next > journal.acknowledged:
            journal.acknowledge(head.journal_next)
        _keep_countersignature(head, journal)
        return Brought(
            issued_s=head.issued_s, first=first, cursor=believer.mark.cursor,
            key_epochs=believer.trust.keys.key_epochs, acknowledged=journal.acknowledged,
            packs=tuple(pack.id for pack in head.packs))

    def _sections(self, trial: _Trial, now: float) -> Iterator[tuple[bytes, bytes]]:
        """Walk through opened sections: new roots, the head, then what is sealed.

        `trial` follows the roots: the head is signed under the newest.
        """
        self._file.seek(0)
        sealer: Sealer | None = None
        before = hashlib.sha256()
        try:
            for kind, payload in read_sections(
                self._file, BUNDLE_MAGIC, "bundle", before.update
            ):
                if sealer is not None:
                    opened = sealer.open(kind, payload)
                    if opened is None:
                        raise FeedRefused("the bundle was altered, or its sections were moved")
                    if kind not in (CHANGES, KEYS, PACK, END):
                        raise FeedRefused("the bundle holds what doesn't belong there")
                    yield kind, opened
                elif kind == ROOT:
                    if _version_of(payload) > trial.base.root.version:
                        trial.root(payload)
                        yield kind, payload
                elif kind == HEAD:
                    head = trial.base.feed(now).bundle(payload, now)
                    sealer = Sealer(_key_of(head, self._seal), before.digest())
                    yield kind, payload
                else:
                    raise FeedRefused("the bundle doesn't begin with its head")
        except SectionFault as error:
            raise FeedRefused(str(error)) from error


class _Files:
    """Cuts the stream of pack chunks into the files that the head names."""

    def __init__(self, head: BundleHead, sink: PackSink) -> None:
        self._wanted = [(pack.id, file) for pack in head.packs for file in pack.files][::-1]
        self._sink, self._left = sink, 0

    def hear(self, data: bytes) -> None:
        """Take a chunk; more than the head names is a PackError."""
        while data:
            if self._left == 0:
                if not self._wanted:
                    raise PackError("the bundle holds more of its packs than its head names")
                pack, file = self._wanted.pop()
                self._sink.begin(pack, file)
                self._left = file.bytes
            part, data = data[: self._left], data[self._left :]
            self._left -= len(part)
            self._sink.write(part)

    def end(self) -> None:
        """Be told that all came; if not, it is a PackError."""
        if self._left or self._wanted:
            raise PackError("the bundle lacks a part of its packs")


class _Sums:
    """The first pass over packs: their checksums only. A `PackSink` of its own."""

    def __init__(self) -> None:
        self._file: BundledFile | None = None
        self._digest = hashlib.sha256()
        self._files: _Files | None = None

    def expect(self, head: BundleHead) -> None:
        """Learn which files come; too many are refused (FeedRefused)."""
        if len(head.packs) > PACKS_MAX or any(
            not 1 <= len(pack.files) <= PACK_FILES_MAX or any(f.bytes < 1 for f in pack.files)
            for pack in head.packs
        ):
            raise FeedRefused("the bundle names more packs or files than any may")
        self._files = _Files(head, self)

    def hear(self, data: bytes) -> None:
        """Take a chunk; a file that differs from its checksum is a PackError."""
        assert self._files is not None, "the head comes first"
        self._files.hear(data)

    def begin(self, pack: str, file: BundledFile) -> None:  # noqa: ARG002 - of the port
        """Check the file before, and begin one."""
        self._close()
        self._file, self._digest = file, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take a part of the file."""
        self._digest.update(data)

    def end(self) -> None:
        """Be told that all came, and check the last; if not, it is a PackError."""
        assert self._files is not None, "the head comes first"
        self._files.end()
        self._close()

    def _close(self) -> None:
        if self._file is not None and self._digest.hexdigest() != self._file.sha256:
            raise PackError(f"{self._file.name} in the bundle differs from its checksum")


def _check_journal(head: BundleHead, journal: JournalSource) -> None:
    if head.journal_log != journal.log:
        raise Refusal(Rule.OTHER_NODE, "this bundle acknowledges another node's journal")
    if head.journal_next > journal.size:
        raise FeedRefused(
            f"the platform holds {head.journal_next} records of this journal, this folder "
            f"{journal.size}: was it restored from an older copy? An administrator must look at "
            "both journals")


def _keep_countersignature(head: BundleHead, journal: JournalSource) -> None:
    if head.journal_said:
        point = msgspec.json.decode(head.journal_point, type=Checkpoint)
        if point.size > journal.countersigned:
            journal.keep_countersignature(
                point, msgspec.json.decode(head.journal_said, type=Countersignature))


def _version_of(root: bytes) -> int:
    """Read a root's version; nothing is believed of it by that."""
    return parse_body(open_envelope(root), Root).version


def _key_of(head: BundleHead, seal: NodeSeal) -> bytes:
    try:
        return seal.open(head.sealed_key, KEY_INFO + head.node_id.encode())
    except (InvalidTag, ValueError) as error:
        raise Refusal(
            Rule.SEAL, "the bundle isn't sealed to this node's key: was its key file replaced?"
        ) from error


