"""Reads the manifest that InsightFace puts into its own packages (its version 2).

- Only detection and recognition are taken; other tasks and fields mean nothing here.
"""

from typing import Literal

import msgspec

from edge.errors import PackError
from edge.models.manifest import Parameters, PlainName, Role, Sha256

FOREIGN_BYTES_MAX = 256 * 1024
RECOGNITION_SIDE = (112, 112)


class ForeignFile(msgspec.Struct, frozen=True):
    """One file that such a manifest names; `sha256` is empty where it says none."""

    name: str
    sha256: str
    role: Role
    form: str
    parameters: Parameters


class ForeignPack(msgspec.Struct, frozen=True):
    """What is taken of such a manifest."""

    files: tuple[ForeignFile, ...]
    dimensions: int


class _Scaling(msgspec.Struct, frozen=True):
    mean: float
    std: float


class _Detection(msgspec.Struct, frozen=True, kw_only=True):
    file: PlainName
    sha256: Sha256 | None = None
    preprocessing: _Scaling | Literal["embedded"] = _Scaling(127.5, 128.0)


class _Recognition(msgspec.Struct, frozen=True, kw_only=True):
    file: PlainName
    sha256: Sha256 | None = None
    preprocessing: _Scaling | Literal["embedded"] = _Scaling(127.5, 127.5)
    input_size: tuple[int, int] = RECOGNITION_SIDE
    embedding_dimension: int = 512


class _Tasks(msgspec.Struct, frozen=True):
    detection: _Detection
    recognition: _Recognition


class _Manifest(msgspec.Struct, frozen=True):
    manifest_version: Literal[2]
    tasks: _Tasks


def read_foreign(data: bytes, name: str) -> ForeignPack:
    """Read such a manifest.

    Args:
        data: Its bytes.
        name: Of the archive, for errors.

    Raises:
        PackError: It isn't one, or describes a form that isn't served.
    """
    if len(data) > FOREIGN_BYTES_MAX:
        raise PackError(f"the manifest in {name} is too large")
    try:
        tasks = msgspec.json.decode(data, type=_Manifest).tasks
    except msgspec.MsgspecError as error:
        raise PackError(f"the manifest in {name} isn't InsightFace's version 2: {error}") from error
    if tasks.recognition.input_size != RECOGNITION_SIDE:
        raise PackError(f"{name}: recognition at {tasks.recognition.input_size} isn't served")
    files = tuple(
        ForeignFile(task.file, task.sha256 or "", role, form, _parameters(task.preprocessing))
        for task, role, form in _served(tasks)
    )
    return ForeignPack(files, tasks.recognition.embedding_dimension)


def _served(tasks: _Tasks) -> tuple[tuple[_Detection | _Recognition, Role, str], ...]:
    return ((tasks.detection, "detector", "scrfd"),
            (tasks.recognition, "embedder", "arcface-112"))


def _parameters(scaling: _Scaling | Literal["embedded"]) -> Parameters:
    if scaling == "embedded":
        return Parameters(mean=0.0, std=1.0)
    assert isinstance(scaling, _Scaling)
    return Parameters(mean=scaling.mean, std=scaling.std)
