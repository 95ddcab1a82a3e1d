"""Putting a folder in another one's place, whenever it may be killed.

- Two renames: the old folder aside, the new one into its place. Between them there is no folder of
  that name; whoever opens it next takes the old one back.
- What was put aside is removed afterwards; files that are still open live until they are closed.
"""

import os
import shutil
from pathlib import Path

from edge.errors import StoreError

ASIDE = ".old"


def move_into_place(folder: Path, place: Path) -> None:
    """Rename `folder` to `place`, and remove what was there.

    Raises:
        StoreError: Both are where they were.
    """
    aside = place.with_name(place.name + ASIDE)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
        try:
            folder.rename(place)
        except OSError:
            aside.rename(place)
            raise
        _flush(place.parent)
    except OSError as error:
        raise StoreError(f"{place} can't be replaced: {error.strerror}") from error
    shutil.rmtree(aside, ignore_errors=True)


def finish_adoption(place: Path) -> None:
    """Clear up after a kill: take the old folder back, or remove it where the new one is in place.

    Raises:
        StoreError: It can't be.
    """
    aside = place.with_name(place.name + ASIDE)
    if not aside.exists():
        return
    if place.exists():
        shutil.rmtree(aside, ignore_errors=True)
        return
    try:
        aside.rename(place)
    except OSError as error:
        raise StoreError(f"{aside} can't be taken back: {error.strerror}") from error


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
