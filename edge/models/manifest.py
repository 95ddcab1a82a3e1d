"""What a face pack is: a folder with a manifest that says everything about it.

- Roles (detector, landmarks, embedder, PAD), files with hashes, licence, the form of
  each model, and operating points: which threshold gives which false match rate, on which data.
- A manifest is data; the forms it may name are the table of `edge.models.forms`.
- A field that isn't known is refused: it would be a demand that nobody meets.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.errors import PackError
from edge.protocol.records import Words

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 256 * 1024
FILE_BYTES_MAX = 1 << 30
FILES_MAX = 16
FORMAT = 2
Role = Literal["detector", "landmarks", "embedder", "pad"]

PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A name without a path in it."""
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[float, Meta(ge=0.0, le=1.0)]
Cosine = Annotated[float, Meta(ge=-1.0, le=1.0)]
Side = Annotated[int, Meta(ge=32, le=4_096)]


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a form leaves open; None = the form's own value (`edge.models.forms`).

    Attributes:
        mean, std: A value enters the model as (value − mean) ÷ std.
        colour: Order of the channels the model wants.
        search_sides: Long sides searched: after the first only where it isn't enough, and then
            the first that would be.
        enough_px: A search is enough when the largest face has so many of its pixels.
        refine_side: A face found with a smaller long side is sought again with this one, in a
            window around it; 0 = never.
        score_min: Smallest score of a face.
        overlap_max: Larger overlap with a better face drops one.
        box_scale, box_shift: The square that the landmarks start from: side as a multiple of the
            box' longer side, centre moved down by that many sides.
        mirror: Whether a capture's mirror image is embedded, too: steadier, at twice the time.
            Enrolment always does.
        mirror_range: Cosines between a face's features and its mirror's that count as quality
            0 and 1.
        same_person_min: Frames of one burst whose cosine is smaller aren't of one person.
        crop_scale: Side of a PAD model's crop as a multiple of the box' longer side.
        live_class: Which output is bona fide.
        live_min: Smallest probability that counts as bona fide.
    """

    mean: float | None = None
    std: Annotated[float, Meta(gt=0.0)] | None = None
    colour: Literal["rgb", "bgr"] | None = None
    search_sides: Annotated[tuple[Side, ...], Meta(min_length=1, max_length=4)] | None = None
    enough_px: Annotated[int, Meta(ge=0, le=4_096)] | None = None
    refine_side: Annotated[int, Meta(ge=0, le=1_024)] | None = None
    score_min: Rate | None = None
    overlap_max: Rate | None = None
    box_scale: Annotated[float, Meta(gt=0.0, le=4.0)] | None = None
    box_shift: Annotated[float, Meta(ge=-1.0, le=1.0)] | None = None
    mirror: bool | None = None
    mirror_range: tuple[Cosine, Cosine] | None = None
    same_person_min: Cosine | None = None
    crop_scale: Annotated[float, Meta(gt=0.0, le=8.0)] | None = None
    live_class: Annotated[int, Meta(ge=0, le=15)] | None = None
    live_min: Rate | None = None


class PackFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a pack.

    Attributes:
        bytes: Its size.
        role: What it does.
        form: How its input and output are to be read (`mmod`, `scrfd`, `arcface-112`, …).
        needs: Processor feature it needs (`vnni`), or empty; among files of one role the first
            whose need is met is used (of PAD models, all).
        parameters: What its form leaves open.
    """

    name: PlainName
    sha256: Sha256
    bytes: Annotated[int, Meta(gt=0, le=FILE_BYTES_MAX)]
    role: Role
    form: str
    needs: Literal["", "vnni"] = ""
    parameters: Parameters = Parameters()


class Licence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which terms the weights may be used.

    Attributes:
        id: SPDX identifier, or a word of its own.
        words: The terms, or the address where they stand.
        commercial: Whether commercial use is allowed.
    """

    id: Annotated[str, Meta(min_length=1, max_length=80)]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    words: Annotated[str, Meta(min_length=1, max_length=20_000)]
    commercial: bool


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One threshold: accept above it; rates per comparison (ISO/IEC 19795-1)."""

    fmr: Annotated[float, Meta(gt=0.0, lt=1.0)]
    threshold: Cosine
    fnmr: Rate
    data: Annotated[str, Meta(min_length=1)]


class PackManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack.

    Attributes:
        format: Version of this form.
        id: Names the feature space: templates of another id can't be compared.
        dimensions: Length of a template; 0 for a pack of PAD models alone.
        normalise: Whether population normalisation is on for this pack.
        notes: What it is good for and what not; shown wherever the pack is shown.
        operating_points: None yet = the pack is unfit for every scene until it is calibrated.
    """

    format: Literal[2] = 2
    id: PlainName
    title: Annotated[str, Meta(min_length=1)]
    licence: Licence
    source: Annotated[str, Meta(min_length=1)]
    notes: Words
    dimensions: Annotated[int, Meta(ge=0, le=4_096)]
    normalise: bool = False
    files: Annotated[tuple[PackFile, ...], Meta(min_length=1, max_length=FILES_MAX)]
    operating_points: tuple[OperatingPoint, ...] = ()

    def operating_point(self, fmr: float) -> OperatingPoint | None:
        """Give the loosest operating point whose FMR is at most the one asked for."""
        fit = [point for point in self.operating_points if point.fmr <= fmr * (1 + 1e-9)]
        return max(fit, key=lambda point: point.fmr, default=None)


class _Versioned(msgspec.Struct, frozen=True):
    format: int = 0


def load_manifest(folder: Path) -> PackManifest:
    """Read a pack's manifest.

    Raises:
        PackError: It is missing, of another version or isn't a manifest; says what to do.
    """
    path = folder / MANIFEST
    data = _read(path)
    try:
        version = msgspec.json.decode(data, type=_Versioned).format
        if version != FORMAT:
            raise PackError(f"{path} is of format {version}, this node reads format {FORMAT}. "
                            f"{mend(folder)}")
        return msgspec.json.decode(data, type=PackManifest)
    except msgspec.MsgspecError as error:
        raise PackError(f"{path} isn't a pack manifest: {error}. {mend(folder)}") from error


def is_current(folder: Path) -> bool:
    """Tell whether a folder holds a manifest of the version read here."""
    try:
        data = _read(folder / MANIFEST)
        return msgspec.json.decode(data, type=_Versioned).format == FORMAT
    except (PackError, msgspec.MsgspecError):
        return False


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise PackError(f"{path} is too large for a manifest")
        return path.read_bytes()
    except OSError as error:
        raise PackError(f"{path} can't be read: {error.strerror}") from error


def verify_files(folder: Path, manifest: PackManifest, advice: str = "") -> None:
    """Hold every file against its size and hash.

    Args:
        folder: Of the pack.
        manifest: Of the pack.
        advice: What to do about a file that differs, where the folder is only a stage on the way.

    Raises:
        PackError: A file is missing or differs; the message says which and what to do.
    """
    for file in manifest.files:
        path = folder / file.name
        try:
            whole = path.stat().st_size == file.bytes and hash_file(path) == file.sha256
        except OSError as error:
            raise PackError(f"{path} can't be read: {error.strerror}. {mend(folder)}") from error
        if not whole:
            raise PackError(f"{file.name if advice else path} is damaged, or another file than the "
                            f"one stated (its checksum differs). {advice or mend(folder)}")


def mend(folder: Path) -> str:
    """Say what to do about a broken pack."""
    return (f"A pack of your own: mend its manifest or file. Any other: remove the folder {folder} "
            "and start again; the default pack is then made anew, the others are had again with "
            "`kanhe models pull`")


def hash_file(path: Path) -> str:
    """Give a file's SHA-256, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
