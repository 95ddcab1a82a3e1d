"""What a face pack is: a folder with a manifest that says everything about it.

- Roles (detector, landmarks, embedder, PAD), files with hashes, licence, the form of
  each model, and operating points: which threshold gives which false match rate, on which data.
- A manifest is data; the forms it may name are known to `edge.models.engine`.
"""

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from edge.errors import PackError
from edge.protocol.records import Words

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 256 * 1024
Role = Literal["detector", "landmarks", "embedder", "pad"]


class PackFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a pack.

    Attributes:
        role: What it does.
        form: How its input and output are to be read (`mmod`, `dlib-5`, `dlib-150`, …).
        needs: Processor feature it needs (`vnni`), or empty; among files of one role the first
            whose need is met is used.
    """

    name: str
    sha256: str
    role: Role
    form: str
    needs: Literal["", "vnni"] = ""


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold: accept above it; rates per comparison (ISO/IEC 19795-1)."""

    fmr: float
    threshold: float
    fnmr: float
    data: str


class PackManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A pack.

    Attributes:
        id: Names the feature space: templates of another id can't be compared.
        dimensions: Length of a template.
        normalise: Whether population normalisation is on for this pack.
        notes: What it is good for and what not; shown wherever the pack is shown.
    """

    format: Literal[1] = 1
    id: str
    title: str
    licence: str
    source: str
    notes: Words
    dimensions: int
    normalise: bool
    files: tuple[PackFile, ...]
    operating_points: tuple[OperatingPoint, ...]

    def operating_point(self, fmr: float) -> OperatingPoint | None:
        """Give the loosest operating point whose FMR is at most the one asked for."""
        fit = [point for point in self.operating_points if point.fmr <= fmr * (1 + 1e-9)]
        return max(fit, key=lambda point: point.fmr, default=None)


def load_manifest(folder: Path) -> PackManifest:
    """Read a pack's manifest.

    Raises:
        PackError: It is missing or isn't a manifest.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        if len(data) > MANIFEST_BYTES_MAX:
            raise PackError(f"{path} is too large for a manifest")
        return msgspec.json.decode(data, type=PackManifest)
    except OSError as error:
        raise PackError(f"{path} can't be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise PackError(f"{path} isn't a pack manifest: {error}. {mend(folder)}") from error


def verify_files(folder: Path, manifest: PackManifest) -> None:
    """Hold every file against its hash.

    Raises:
        PackError: A file is missing or differs; the message says which and what to do.
    """
    for file in manifest.files:
        path = folder / file.name
        try:
            found = hash_file(path)
        except OSError as error:
            raise PackError(f"{path} can't be read: {error.strerror}. {mend(folder)}") from error
        if found != file.sha256:
            raise PackError(f"{path} is damaged (its checksum differs). {mend(folder)}")


def mend(folder: Path) -> str:
    """Say what to do about a broken pack."""
    return f"Remove the folder {folder} and start again: the default pack is then made anew"


def hash_file(path: Path) -> str:
    """Give a file's SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
