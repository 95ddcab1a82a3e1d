"""The file that a backup is: a plain tar whose first member says what the others must be.

- Only the names of a platform's own parts are taken, only regular files, each held against its
  size and SHA-256; anything else in the file refuses all of it.
"""

import hashlib
import os
import re
import tarfile
import time
from pathlib import Path
from typing import IO

import msgspec

from edge.errors import StoreError

FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 1024 * 1024
CHUNK = 1024 * 1024
PART_NAME = re.compile(
    r"(?:keys|tls)/[A-Za-z0-9_][A-Za-z0-9._-]*|root\.envelope|central\.(?:db|dump)")


class Part(msgspec.Struct, frozen=True):
    """One file inside: its size and SHA-256 (hex)."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds. `head` is how many changes the feed had, at least."""

    format: int
    kind: str
    schema: str
    log: str
    made_s: int
    head: int
    parts: dict[str, Part]


def measured(path: Path) -> Part:
    """Measure a file for the manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(path.stat().st_size, digest)


def pack(part: Path, manifest: Manifest, files: dict[str, Path]) -> None:
    """Write an archive for its owner only, the manifest first.

    Raises:
        OSError: It can't be written.
    """
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            head = part.with_name(part.name + ".manifest")
            try:
                head.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
                tar.add(head, MANIFEST, filter=_plain)
            finally:
                head.unlink(missing_ok=True)
            for name, path in files.items():
                tar.add(path, name, filter=_plain)
        file.flush()
        os.fsync(file.fileno())


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made it, and when."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode, member.mtime = 0o600, int(time.time())
    return member


def unpack(source: Path, stage: Path) -> Manifest:
    """Take everything out that the manifest names, checked; nothing else.

    Raises:
        StoreError: It is no backup, or a damaged one.
        OSError: It can't be read, or `stage` not written.
    """
    try:
        with tarfile.open(source, mode="r:") as tar:
            first = tar.next()
            if first is None or first.name != MANIFEST or first.size > MANIFEST_BYTES_MAX:
                raise StoreError(f"{source} is no backup of this platform")
            manifest = msgspec.json.decode(_stream(tar, first).read(), type=Manifest)
            if manifest.format != FORMAT:
                raise StoreError(f"{source} is of format {manifest.format}, this version reads "
                                 f"{FORMAT}")
            left = dict(manifest.parts)
            while (member := tar.next()) is not None:
                expected = left.pop(member.name, None)
                if expected is None or not member.isreg() or not PART_NAME.fullmatch(member.name):
                    raise StoreError(f"{source} holds something that isn't in its manifest")
                _take_out(_stream(tar, member), stage / member.name, expected, source)
    except (tarfile.TarError, msgspec.MsgspecError, EOFError, UnicodeDecodeError) as error:
        raise StoreError(f"{source} is damaged: use another backup") from error
    if left:
        raise StoreError(f"{source} is cut off: {', '.join(left)} is missing")
    return manifest


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise StoreError(f"{member.name[:40]!r} in the backup is no file")
    return stream


def _take_out(stream: IO[bytes], path: Path, expected: Part, source: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
        raise StoreError(f"{source} is damaged in {path.name}: use another backup")
