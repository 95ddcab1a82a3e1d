"""What the clock keeps on disk: its memory, and a person's word; small files, replaced at once.

- A file that can't be read is as if there were none: the clock then has no past, which is said.
- A person's word is for the machine's present run only, as the anchor that it is told against.
"""

import logging
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.clock.judge import Memory, Word
from edge.files import write_file

FILE = "clock.json"
WORD_FILE = "clock-word.json"
_LOG = logging.getLogger(__name__)
_Kept = TypeVar("_Kept", bound=msgspec.Struct)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word about the time, and the machine's run that it was given in."""

    boot_id: str
    word: Word


def load_memory(folder: Path) -> Memory:
    """Read what the run before put down."""
    return _load(folder / FILE, Memory) or Memory()


def keep_memory(folder: Path, memory: Memory) -> None:
    """Put the memory down durably.

    Raises:
        OSError: It can't be written.
    """
    write_file(folder / FILE, msgspec.json.encode(memory))


class WordFile:
    """A person's word, looked for again and again: one that can't be read is said once."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is read yet."""
        self._path = folder / WORD_FILE
        self._seen: bytes | int | None = None
        self._given: Given | None = None

    def word(self, boot_id: str) -> Word | None:
        """Give the word, if one was given in this run of the machine."""
        try:
            seen: bytes | int | None = self._path.read_bytes()
        except FileNotFoundError:
            seen = None
        except OSError as error:
            seen = error.errno
        if seen != self._seen:
            self._seen, self._given = seen, _load(self._path, Given)
        given = self._given
        return given.word if given is not None and boot_id and given.boot_id == boot_id else None


def keep_word(folder: Path, given: Given) -> None:
    """Put a person's word down for the node that runs, or runs next.

    Raises:
        OSError: It can't be written.
    """
    write_file(folder / WORD_FILE, msgspec.json.encode(given))


def _load(path: Path, form: type[_Kept]) -> _Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=form)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        _LOG.warning("clock.memory_lost", extra={"file": path.name})
        return None
