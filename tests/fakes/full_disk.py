"""A real small file system that a test fills: tmpfs, or ext4 in a file, mounted for the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KINDS = ("tmpfs", "ext4")
MIB = 1024 * 1024


class SmallDisk:
    """A mounted file system of a few MiB.

    Attributes:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, leave: int = 0) -> None:
        """Take all of its room but `leave` bytes."""
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        at = os.lseek(fd, 0, os.SEEK_END)
        for size in (64 * 1024, 4_096, 512, 1):
            try:
                while True:
                    at += os.pwrite(fd, b"x" * size, at)
            except OSError as error:
                assert error.errno == 28, error
        if leave:
            os.ftruncate(fd, at - leave)
        os.fsync(fd)
        os.close(fd)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextmanager
def small_disk(kind: str, work: Path, size: int = 4 * MIB) -> Iterator[SmallDisk]:
    """Mount one; skips where that isn't allowed or the tool isn't there."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("only root can mount a file system to fill")
    folder = work / kind
    folder.mkdir()
    if kind == "ext4":
        make = shutil.which("mkfs.ext4")
        if make is None:
            pytest.skip("mkfs.ext4 isn't installed")
        image = work / "ext4.img"
        with image.open("wb") as file:
            file.truncate(size + 4 * MIB)
        subprocess.run([make, "-q", "-m", "0", image], check=True)
        arguments = [mount, "-o", "loop", image, folder]
    else:
        arguments = [mount, "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([umount, folder], check=True)
