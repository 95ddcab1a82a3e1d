"""Packs out of a bundle: staged beside the shelf, checked, opened once, then put in place."""

import re
import shutil
from pathlib import Path
from typing import BinaryIO

from edge.errors import PackError
from edge.models.engine import FaceEngine
from edge.models.install import install_folder
from edge.models.manifest import FILE_BYTES_MAX, MANIFEST
from edge.protocol.bundle import BundledFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BroughtPacks:
    """Implements edge.sync's `PackSink`."""

    def __init__(self, packs_dir: Path) -> None:
        """Prepare; nothing is written before the first file."""
        self._packs_dir = packs_dir
        self._stage = packs_dir / ".bundle.part"
        self._file: BinaryIO | None = None
        self._came: dict[str, Path] = {}

    def begin(self, pack: str, file: BundledFile) -> None:
        """Begin the next file of a pack.

        Raises:
            PackError: It can't be one, or can't be written.
        """
        if not _NAME.fullmatch(pack) or not _NAME.fullmatch(file.name):
            raise PackError("the bundle names a file that can't be one of a pack")
        if file.bytes > FILE_BYTES_MAX:
            raise PackError(f"{file.name} in the bundle is larger than any file of a pack")
        self._close()
        try:
            if not self._came:
                shutil.rmtree(self._stage, ignore_errors=True)
            folder = self._stage / pack
            folder.mkdir(parents=True, exist_ok=True)
            self._came[pack] = folder
            self._file = (folder / file.name).open("wb")
        except OSError as error:
            raise PackError(f"{self._stage} can't be written: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Go on with it."""
        assert self._file is not None, "begin() comes first"
        try:
            self._file.write(data)
        except OSError as error:
            raise PackError(f"{self._stage} can't be written: {error.strerror}") from error

    def end(self) -> None:
        """Put the packs that came in place; one that is there already stays as it is.

        Raises:
            PackError: One can't serve, or another of the same id is there.
        """
        self._close()
        try:
            for pack, folder in self._came.items():
                held = self._packs_dir / pack / MANIFEST
                if held.is_file() and held.read_bytes() == (folder / MANIFEST).read_bytes():
                    continue
                install_folder(folder, self._packs_dir, FaceEngine)
        finally:
            shutil.rmtree(self._stage, ignore_errors=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
