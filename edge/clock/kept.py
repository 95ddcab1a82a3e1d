"""The clock's memory on disk: one small file, replaced at once.

- A file that can't be read is as if there were none: the clock then has no past, which is said.
"""

import logging
import os
from pathlib import Path

import msgspec

from edge.clock.judge import Memory

FILE = "clock.json"
_LOG = logging.getLogger(__name__)


def load_memory(folder: Path) -> Memory:
    """Read what the run before put down."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        _LOG.warning("clock.memory_lost", extra={"file": FILE})
        return Memory()


def keep_memory(folder: Path, memory: Memory) -> None:
    """Put the memory down durably.

    Raises:
        OSError: It can't be written.
    """
    path = folder / FILE
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(msgspec.json.encode(memory))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
