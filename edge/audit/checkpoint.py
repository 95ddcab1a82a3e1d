"""The folder's checkpoints: those the node signed, and the newest that is counter-signed.

- Signed ones are JSON lines in `checkpoints.jsonl`, appended and flushed. A torn last line is cut
  off before anything is written behind it.
- Only what proofs and recovery need is kept: the one at each segment's beginning, and the newest
  ones; the file stays small for as long as the node lives.
- `countersigned.json` holds the newest checkpoint that the central platform counter-signed, which
  covers every record before it. It is replaced as a whole.
- The platform's key is the one of the first counter-signature; another isn't taken later.
"""

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from edge.errors import JournalError
from edge.files import write_file
from edge.hotpath.checkpoint import (
    Checkpoint,
    Countersignature,
    check_checkpoint,
    check_countersignature,
)

FILE = "checkpoints.jsonl"
COUNTERSIGNED = "countersigned.json"
LINES_MAX = 1_000_000
KEPT_MAX = 1_000
"""Checkpoints held before those that nothing needs are dropped."""
NEWEST_KEPT = 100


class Countersigned(msgspec.Struct, frozen=True):
    """A checkpoint with the platform's signature."""

    checkpoint: Checkpoint
    countersignature: Countersignature


class CheckpointBook:
    """The checkpoints of one folder, as its writer keeps them."""

    def __init__(self, folder: Path, log: str) -> None:
        """Take up what is there, cutting off a torn last line.

        Raises:
            JournalError: A line before the last can't be read, or what is counter-signed doesn't
                hold.
            OSError: The files can't be read.
        """
        self._folder, self._path, self._log = folder, folder / FILE, log
        self._points = [point for point in read_checkpoints(folder) if point.log == log]
        self._countersigned = read_countersigned(folder, log)
        if self._path.exists():
            data = self._path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(self._path, whole)

    @property
    def countersigned(self) -> int:
        """Records that the counter-signed checkpoint covers."""
        return self._countersigned.checkpoint.size if self._countersigned else 0

    def signed_size(self, size: int) -> int:
        """Give how many of `size` records are under a checkpoint."""
        return max((point.size for point in self._points if point.size <= size), default=0)

    def add(self, point: Checkpoint) -> None:
        """Append a checkpoint durably; what fails leaves nothing behind.

        Raises:
            OSError: It can't be written.
        """
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            end = os.lseek(fd, 0, os.SEEK_END)
            try:
                write_all(fd, msgspec.json.encode(point) + b"\n", end)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)
        self._points.append(point)

    def thin(self, firsts: Collection[int]) -> None:
        """Drop what nothing needs once there are many; keep those where segments begin.

        Raises:
            OSError: The shorter file can't be written; the longer one is still there.
        """
        if len(self._points) <= KEPT_MAX:
            return
        needed = set(firsts)
        kept = [point for point in self._points[:-NEWEST_KEPT] if point.size in needed]
        kept += self._points[-NEWEST_KEPT:]
        write_file(self._path, msgspec.json.Encoder().encode_lines(kept))
        self._points = kept

    def unsigned(self, upto: int, within: int) -> Checkpoint | None:
        """Give the checkpoint to be counter-signed next, None if there is none.

        It is the newest whose records the platform holds, not more than `within` ahead of what is
        counter-signed, so that the platform never has much to hash for one answer.
        """
        done = self.countersigned
        due = [point for point in list(self._points) if done < point.size <= upto]
        near = [point for point in due if point.size <= done + within]
        return near[-1] if near else (due[0] if due else None)

    def keep(self, point: Checkpoint, said: Countersignature) -> None:
        """Keep the platform's word for a checkpoint durably.

        Raises:
            JournalError: It isn't the platform's, or not of this checkpoint.
            OSError: It can't be written.
        """
        known = self._countersigned
        try:
            check_countersignature(
                said, point, known.countersignature.public if known else said.public)
        except ValueError as error:
            raise JournalError(str(error)) from error
        kept = Countersigned(point, said)
        write_file(self._folder / COUNTERSIGNED, msgspec.json.encode(kept))
        self._countersigned = kept


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """Read all checkpoints; a torn last line is left out.

    Raises:
        JournalError: A line before the last can't be read.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    found: list[Checkpoint] = []
    for number, line in enumerate(lines[:LINES_MAX], 1):
        if not line:
            continue
        try:
            found.append(msgspec.json.decode(line, type=Checkpoint))
        except msgspec.MsgspecError as error:
            if number == len(lines):
                break
            raise JournalError(f"{path}, line {number}, can't be read") from error
    return found


def read_countersigned(folder: Path, log: str) -> Countersigned | None:
    """Read and check the newest counter-signed checkpoint, None if there is none yet.

    Raises:
        JournalError: It doesn't hold.
    """
    path = folder / COUNTERSIGNED
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Countersigned)
        check_checkpoint(kept.checkpoint, log)
        check_countersignature(
            kept.countersignature, kept.checkpoint, kept.countersignature.public)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise JournalError(
            f"{path} doesn't hold: {error}. Remove it; the platform signs again") from error
    return kept


def checked(point: Checkpoint, log: str) -> Checkpoint:
    """Give a checkpoint that holds.

    Raises:
        JournalError: It doesn't.
    """
    try:
        check_checkpoint(point, log)
    except ValueError as error:
        raise JournalError(str(error)) from error
    return point


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write all bytes at a place, however many the system takes at once.

    Raises:
        OSError: They can't be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.pwrite(fd, view, at + len(data) - len(view)) :]


def read_number(path: Path) -> int:
    """Read a number that `replace` put down, 0 if it never was.

    Raises:
        JournalError: It isn't one.
        OSError: It can't be read.
    """
    try:
        return int(path.read_bytes())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise JournalError(
            f"{path} is damaged: remove it; the records are then shipped again"
        ) from error
