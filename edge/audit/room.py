"""Is there room for more records: the journal's own bound, and a reserve of the disk.

- The reserve is for everything else that a node writes: cache, guard, checkpoints, logs.
- What can't be measured isn't short: then the write itself says so.
"""

import errno
import os
from pathlib import Path

from edge.errors import JournalError, JournalFull

_MIB = 1024 * 1024
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Room:
    """Judges the room of one folder."""

    def __init__(self, folder: Path, bytes_max: int, reserve_bytes: int) -> None:
        """Take the folder, the bound of its segments, and what must stay free on its disk."""
        self._folder, self._bytes_max, self._reserve_bytes = folder, bytes_max, reserve_bytes

    def free_bytes(self) -> int | None:
        """Give what is free on the disk, None where that can't be told."""
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def shortage(self, held: int, coming: int) -> str:
        """Say why `coming` bytes beside the `held` ones can't be taken, empty if they can."""
        if held + coming > self._bytes_max:
            return (
                f"the journal holds {held // _MIB} MiB of at most {self._bytes_max // _MIB} that "
                "the central platform hasn't taken and signed: bring it in reach, or raise "
                "journal.disk_bytes_max")
        free = self.free_bytes()
        if free is not None and free < self._reserve_bytes + coming:
            return (
                f"the disk is full: {free // _MIB} MiB are free, {self._reserve_bytes // _MIB} "
                "are kept in reserve (journal.disk_reserve_bytes): free some space")
        return ""


def write_problem(error: OSError, what: str) -> JournalError:
    """Give the journal's error for a write that failed."""
    if error.errno in _NO_ROOM:
        problem: JournalError = JournalFull(
            f"the disk is full ({what}: {error.strerror}): free some space")
    else:
        problem = JournalError(f"{what}: {error.strerror}: free some space or mend the disk")
    problem.__cause__ = error
    return problem
