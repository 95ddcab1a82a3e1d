"""`kanhe edge vouch-clock`: an administrator's word that a clock without other witnesses is right.

- The word is compared with this machine's clock here, so that a slip of the pen is told at once.
- Believed by whoever may write in the node's data folder: the same who may read its key.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from edge.clock.judge import PERSON_S_MAX, Word
from edge.clock.kept import Given, keep_word
from edge.clock.kernel import anchor_s, read_boot_id
from edge.errors import ConfigError

READING_S = 2.0
"""How exactly a person tells the time: reading, typing, pressing the key."""


def vouch(folder: Path, text: str) -> float:
    """Put down what a trusted clock says now.

    Args:
        folder: The node's data folder.
        text: Time with its offset, ISO 8601, e.g. `2026-11-24T12:34:56+08:00`.

    Returns:
        How far this machine's clock is ahead of it, seconds.

    Raises:
        ConfigError: It isn't a time, or this machine's clock is too far from it.
        OSError: It can't be written.
    """
    if not (folder / "node.key").is_file():
        raise ConfigError(f"{folder} is no node's data folder: say --config")
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        told = None
    if told is None or told.tzinfo is None:
        raise ConfigError(f"{text!r} is no time with an offset: like 2026-11-24T12:34:56+08:00")
    wall, anchor = time.time(), anchor_s()
    ahead = wall - told.timestamp()
    if abs(ahead) + READING_S > PERSON_S_MAX:
        here = datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
        raise ConfigError(
            f"this machine's clock says {here}, {abs(ahead):.0f} s "
            f"{'ahead of' if ahead > 0 else 'behind'} that: set it first (timedatectl set-time)")
    boot_id = read_boot_id()
    if not boot_id:
        raise ConfigError("this system doesn't name its boot, so a word can't be tied to it")
    keep_word(folder, Given(
        boot_id=boot_id, word=Word(told.timestamp() - anchor, anchor, READING_S)))
    return ahead
