"""Bundles for sites without a network: made for one node, and its journal taken back.

- A bundle holds what the wire would bring: root, changes from a cursor on, the node's keys, the
  journal's acknowledgement, and packs. Each batch is one short transaction, so that a running
  platform isn't held up.
- It is sealed to the node, and everything in it signed as on the wire, made out to that node.
- A journal file is taken in only when the node's signature over all of it holds, and then by the
  same comparison as an upload.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select

from central import checkpoints, epochs, feed, intake, nodes
from central.errors import Conflict, Forbidden, Invalid, Unknown
from central.keys import PlatformKeys
from central.schema import Node
from central.store import Database, Transaction
from edge.hotpath.node_seal import seal_to_node
from edge.models.manifest import MANIFEST, hash_file, load_manifest
from edge.protocol.bundle import (
    BUNDLE_MAGIC,
    CHANGES,
    CHUNK_BYTES,
    END,
    FORMAT,
    HEAD,
    JOURNAL_CONTEXT,
    JOURNAL_MAGIC,
    KEY_BYTES,
    KEY_INFO,
    KEYS,
    PACK,
    ROOT,
    UPLOAD,
    BundledFile,
    BundledPack,
    BundleHead,
    JournalHead,
    Sealer,
    frame,
)
from edge.protocol.feed import ChangeBatch
from edge.protocol.report import NodeReport
from edge.protocol.sections import SectionFault, read_sections

_LOG = logging.getLogger(__name__)
LIFE_S_DEFAULT = 30 * 86_400
LIFE_S_MAX = 365 * 86_400


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What of a platform a bundle is made from; `roots` is the chain, oldest first."""

    database: Database
    keys: PlatformKeys
    roots: tuple[bytes, ...]
    log: str
    node_ahead_days: int


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds."""

    node_id: str
    first: int
    head: int
    key_epochs: tuple[int, ...]
    journal_next: int
    packs: tuple[str, ...]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken of a journal file: the platform holds everything before `next`."""

    node_id: str
    first: int
    size: int
    next: int


async def export(
    site: Site, out: BinaryIO, node_id: str, *, first: int | None = None,
    life_s: int = LIFE_S_DEFAULT, packs: Sequence[Path] = (),
) -> Exported:
    """Write a bundle.

    Args:
        site: The platform.
        out: Where to.
        node_id: For whom.
        first: Number of the first change; None = what the node last said it lacks.
        life_s: For how long it may be brought.
        packs: Folders of packs to go along.

    Raises:
        Refused: There is no such node, or it is revoked, or a bound is broken.
        StoreError: The database failed.
    """
    if not 0 < life_s <= LIFE_S_MAX:
        raise Invalid(f"a bundle lives 1 to {LIFE_S_MAX // 86_400} days")
    listed = tuple(_listed(folder) for folder in packs)
    key = os.urandom(KEY_BYTES)
    head = await site.database.run(lambda tx: _head(tx, site, node_id, first, life_s, key, listed))
    signed = feed.sign(head, site.keys.signing["changes"])
    opening = BUNDLE_MAGIC + b"".join(frame(ROOT, root) for root in site.roots) + frame(
        HEAD, signed)
    out.write(opening)
    sealer = Sealer(key, hashlib.sha256(opening).digest())
    cursor = head.first
    while True:
        batch = await site.database.run(partial(_batch, log=site.log, cursor=cursor, head=head))
        _put(out, sealer, CHANGES, feed.sign(batch, site.keys.signing["changes"]))
        cursor = batch.first + len(batch.changes)
        if cursor >= batch.head:
            break
    delivery = await site.database.run(lambda tx: msgspec.structs.replace(
        epochs.delivery(tx, _node(tx, node_id), site.log, site.node_ahead_days),
        issued_s=head.issued_s, expires_s=head.expires_s, carried_to=node_id))
    _put(out, sealer, KEYS, feed.sign(delivery, site.keys.signing["keys"]))
    for folder, pack in zip(packs, listed, strict=True):
        for chunk in _chunks(folder, pack):
            _put(out, sealer, PACK, chunk)
    _put(out, sealer, END, b"")
    return Exported(
        node_id=node_id, first=head.first, head=cursor, journal_next=head.journal_next,
        key_epochs=tuple(epoch.key_epoch for epoch in delivery.epochs),
        packs=tuple(pack.id for pack in listed))


async def take_journal(database: Database, file: BinaryIO) -> Taken:
    """Take in a journal file.

    Raises:
        Refused: It isn't one, isn't whole, isn't of a node known here, or contradicts what is held.
        StoreError: The database failed; what was taken before stays, and is compared next time.
    """
    try:
        head = await _check_journal(database, file)
        file.seek(0)
        taken = head.first
        for kind, payload in read_sections(file, JOURNAL_MAGIC, "journal file"):
            if kind == UPLOAD:
                taken = await database.run(
                    partial(_take, node_id=head.node_id, data=payload))
    except SectionFault as error:
        raise Invalid(str(error)) from error
    await database.run(lambda tx: _countersigned(tx, head))
    await database.run(lambda tx: _noted(tx, head))
    return Taken(node_id=head.node_id, first=head.first, size=head.size, next=taken)


async def _check_journal(database: Database, file: BinaryIO) -> JournalHead:
    """Hold the whole file against its node's signature, before anything of it is used."""
    digest = hashlib.sha256()
    head: JournalHead | None = None
    signature = b""
    for kind, payload in read_sections(file, JOURNAL_MAGIC, "journal file", digest.update):
        if kind == HEAD and head is None:
            head = _parsed_head(payload)
        elif kind == END:
            signature = payload
        elif kind != UPLOAD or head is None:
            raise Invalid("the journal file holds what doesn't belong there")
    if head is None:
        raise Invalid("the journal file has no head")
    known = head
    public = await database.run(lambda tx: _node(tx, known.node_id).sign_public)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            signature, JOURNAL_CONTEXT + digest.digest())
    except InvalidSignature as error:
        raise Forbidden("the journal file isn't that node's, or was altered") from error
    return head


def _parsed_head(payload: bytes) -> JournalHead:
    try:
        head = msgspec.msgpack.decode(payload, type=JournalHead)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("the journal file's head can't be read") from error
    if head.format != FORMAT:
        raise Invalid(f"a journal file of format {head.format} needs another version")
    return head


def _take(tx: Transaction, node_id: str, data: bytes) -> int:
    taken = intake.take_in(tx, _node(tx, node_id), data)
    if taken.conflict:
        raise Conflict(
            f"the platform holds {taken.next} records of this log, and what the file says doesn't "
            "follow them: was the node's data folder restored or copied, or is a file missing?")
    return taken.next


def _countersigned(tx: Transaction, head: JournalHead) -> None:
    """Counter-sign the file's checkpoint; the next bundle brings that back."""
    if not head.checkpoint:
        return
    said = checkpoints.take_checkpoint(tx, _node(tx, head.node_id), head.checkpoint)
    if said.countersignature is None:
        _LOG.warning("bundle.not_countersigned", extra={"node": head.node_id, "held": said.held})


def _noted(tx: Transaction, head: JournalHead) -> None:
    """Remember how the node said it is: where its next bundle begins."""
    node = _node(tx, head.node_id)
    nodes.put_report(tx, node, msgspec.json.encode(head.report))
    node.seen_s = max(node.seen_s, min(head.at_s, tx.now_s))
    tx.act("bundle.journal", node.id, f"{head.first} to {head.size}")


def _head(
    tx: Transaction, site: Site, node_id: str, first: int | None, life_s: int, key: bytes,
    packs: tuple[BundledPack, ...],
) -> BundleHead:
    node = _node(tx, node_id)
    epochs.make_ahead(tx, site.node_ahead_days)
    if first is None:
        report = msgspec.json.decode(node.report, type=NodeReport) if node.report else None
        first = report.cursor if report else 0
    if not 0 <= first <= tx.head():
        raise Invalid(f"--from {first}: the log holds {tx.head()} changes")
    tx.act("bundle.export", node.id, f"from {first}")
    point, said = checkpoints.newest(tx, node.journal_log) or (b"", b"")
    return BundleHead(
        format=FORMAT, log=site.log, node_id=node.id, issued_s=tx.now_s,
        expires_s=tx.now_s + life_s, first=first, journal_log=node.journal_log,
        sealed_key=seal_to_node(key, node.seal_public, KEY_INFO + node.id.encode()),
        journal_next=intake.next_index(tx, node.journal_log), journal_point=point,
        journal_said=said, packs=packs)


def _batch(tx: Transaction, *, log: str, cursor: int, head: BundleHead) -> ChangeBatch:
    """Give the next batch, as of the head's time.

    That is no later than the truth, and the same for all, so that a bundle that was half brought
    can be brought again. Nothing in it is sealed by itself, since the file is: so it opens
    whichever feed key the node holds.
    """
    return msgspec.structs.replace(
        feed.batch(tx, log, cursor, sealed=False), issued_s=head.issued_s, expires_s=head.expires_s,
        carried_to=head.node_id)


def _node(tx: Transaction, node_id: str) -> Node:
    node = tx.session.scalar(select(Node).where(Node.id == node_id))
    if node is None:
        raise Unknown("there is no such node: `kanhe central node list` shows them")
    if node.revoked_s is not None:
        raise Forbidden("this node is revoked: it gets nothing more, and nothing of it is taken")
    return node


def _put(out: BinaryIO, sealer: Sealer, kind: bytes, payload: bytes) -> None:
    out.write(frame(kind, sealer.seal(kind, payload)))


def _listed(folder: Path) -> BundledPack:
    manifest = load_manifest(folder)
    names = [MANIFEST, *(file.name for file in manifest.files)]
    return BundledPack(manifest.id, tuple(
        BundledFile(name, (folder / name).stat().st_size, hash_file(folder / name))
        for name in names))


def _chunks(folder: Path, pack: BundledPack) -> Iterator[bytes]:
    for listed in pack.files:
        with (folder / listed.name).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
