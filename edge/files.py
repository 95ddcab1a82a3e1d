"""Small files that are replaced whole."""

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
