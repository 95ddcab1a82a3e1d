"""Packs made for tests: files and what a manifest says of them."""

import shutil
from pathlib import Path

import msgspec

from edge.models.manifest import (
    MANIFEST,
    Licence,
    OperatingPoint,
    PackFile,
    PackManifest,
    Parameters,
    hash_file,
)
from edge.protocol.records import Words

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
OWN = Licence(id="own", title="made for a test", words="Use it as you like.", commercial=True)
DLIB_BOX = Parameters(box_scale=0.753)
"""What dlib's landmarks start from, given a YuNet box."""


def file_of(path: Path, role: str, form: str, parameters: Parameters | None = None) -> PackFile:
    return PackFile(name=path.name, sha256=hash_file(path), bytes=path.stat().st_size, role=role,
                    form=form, parameters=parameters or Parameters())


def write_manifest(folder: Path, files: list[PackFile], **said) -> Path:
    manifest = PackManifest(**{
        "id": "test-pack", "title": "test", "licence": OWN, "source": "tests",
        "notes": Words("试验", "for tests"), "dimensions": 512, "files": tuple(files),
        "operating_points": (OperatingPoint(fmr=1e-3, threshold=0.5, fnmr=0.1, data="none"),),
        **said,
    })
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return folder


def copied(source: Path, folder: Path) -> Path:
    return Path(shutil.copy(source, folder / source.name))
