"""Small files that are replaced whole, and files that one holds at a time."""

import fcntl
import os
from pathlib import Path


def write_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put a file in the place of what is there, durably and at once.

    Args:
        path: Where; `NAME.part` beside it is used meanwhile.
        data: All of it.
        mode: For whom, less what the process's umask takes away.

    Raises:
        OSError: It can't be written; what was there still is.
    """
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def hold_file(path: Path) -> int | None:
    """Be the only one who holds a file, made if need be, until the process ends.

    Returns:
        The descriptor, which lets go of it when it is closed; None where somebody else holds it.

    Raises:
        OSError: It can't be opened, or its disk knows no locks.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd
