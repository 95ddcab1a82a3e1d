"""The journal of a site without a network, as a file for the platform.

- Records that the platform hasn't acknowledged, as exact bytes, in uploads like those of the wire;
  at the end the node's signature over all of it.
- Nothing is retired by it: the next bundle brings the acknowledgement.
- It holds ids and decisions, no name, image, code or template, and isn't sealed.
"""

import hashlib
from typing import BinaryIO

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.protocol.bundle import (
    END,
    FORMAT,
    HEAD,
    JOURNAL_CONTEXT,
    JOURNAL_MAGIC,
    UPLOAD,
    JournalHead,
    frame,
)
from edge.protocol.journal import (
    RECORD_BYTES_MAX,
    UPLOAD_BYTES_MAX,
    UPLOAD_RECORDS_MAX,
    JournalUpload,
)
from edge.protocol.report import NodeReport
from edge.sync.ports import JournalSource

_BYTES_MAX = UPLOAD_BYTES_MAX - RECORD_BYTES_MAX - 8 * UPLOAD_RECORDS_MAX


def write_journal_file(
    out: BinaryIO, journal: JournalSource, signing: Ed25519PrivateKey, *, node_id: str,
    report: NodeReport, at_s: int,
) -> JournalHead:
    """Write what the platform doesn't hold yet.

    Raises:
        JournalError: Records can't be read.
        OSError: The file can't be written.
    """
    point = journal.uncountersigned(journal.size)
    head = JournalHead(
        format=FORMAT, log=journal.log, node_id=node_id, first=journal.acknowledged,
        size=journal.size, at_s=at_s, report=report,
        checkpoint=b"" if point is None else msgspec.json.encode(point))
    digest = hashlib.sha256()

    def put(data: bytes) -> None:
        digest.update(data)
        out.write(data)

    put(JOURNAL_MAGIC + frame(HEAD, msgspec.msgpack.encode(head)))
    index = head.first
    while index < head.size:
        records = journal.read(
            index, min(UPLOAD_RECORDS_MAX, head.size - index), _BYTES_MAX)
        upload = JournalUpload(log=head.log, first=index, records=tuple(records))
        put(frame(UPLOAD, msgspec.msgpack.encode(upload)))
        index += len(records)
    end = frame(END, bytes(64))[:-64]
    digest.update(end)
    out.write(end + signing.sign(JOURNAL_CONTEXT + digest.digest()))
    return head
