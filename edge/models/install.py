"""Puts a pack on the shelf: out of an archive or files, checked, all or nothing.

- Made in a folder beside its place and renamed into it; a killed installation leaves
  nothing half done.
- Of an archive only the wanted members are read, each up to its stated size; an archive
  with a member that points outside it is refused whole.
- The pack is opened once before it is put in place: files of another form never get there.
"""

import contextlib
import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from edge.errors import PackError
from edge.models.catalogue import Entry
from edge.models.foreign import FOREIGN_BYTES_MAX, read_foreign
from edge.models.forms import check_manifest
from edge.models.manifest import MANIFEST, PackFile, PackManifest, load_manifest, verify_files

MEMBERS_MAX = 1_000
_CHUNK = 1 << 20
AFRESH = "Nothing was installed: give another copy with --from"

Trial = Callable[[Path], object]
"""Opens a pack's folder; raises `PackError` if it can't serve."""


def install_entry(
    entry: Entry, blobs: Mapping[str, Path], packs_dir: Path, trial: Trial
) -> Path:
    """Install a pack of the catalogue.

    Args:
        entry: Of the catalogue.
        blobs: Where the archive is, or each of the files, by name.
        packs_dir: The shelf.
        trial: Opens what was made, before it is put in place.

    Returns:
        The pack's folder.

    Raises:
        PackError: Something is missing, damaged, of another form, or can't be written.
    """
    def fill(stage: Path) -> PackManifest:
        """Write the entry's files into an empty folder."""
        if entry.archive_name in blobs:
            return _from_archive(entry, blobs[entry.archive_name], stage)
        missing = [file.name for file in entry.files if file.name not in blobs]
        if missing or not entry.files:
            raise PackError(f"{entry.id}: {missing[0] if missing else 'the archive'} is missing")
        for file in entry.files:
            with _read(blobs[file.name]) as source:
                _write(source, stage / file.name, file.bytes)
        return entry.manifest(entry.files, entry.dimensions)

    return _place(entry.id, packs_dir, fill, trial)


def install_folder(folder: Path, packs_dir: Path, trial: Trial) -> Path:
    """Install a folder that is a pack already, under its id; errors as above."""
    manifest = load_manifest(folder)

    def fill(stage: Path) -> PackManifest:
        """Copy the folder's files into an empty one."""
        for file in manifest.files:
            with _read(folder / file.name) as source:
                _write(source, stage / file.name, file.bytes)
        return manifest

    return _place(manifest.id, packs_dir, fill, trial)


def _place(
    pack_id: str, packs_dir: Path, fill: Callable[[Path], PackManifest], trial: Trial
) -> Path:
    target = packs_dir / pack_id
    stage = packs_dir / f".{pack_id}.{os.getpid()}.part"
    if target.exists():
        raise PackError(f"{target} is there already: remove that folder to have it made anew")
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        manifest = fill(stage)
        check_manifest(manifest)
        (stage / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        verify_files(stage, manifest, AFRESH)
        trial(stage)
        for path in stage.iterdir():
            with path.open("rb") as written:
                os.fsync(written.fileno())
        stage.rename(target)
    except OSError as error:
        raise PackError(f"the pack can't be written to {packs_dir}: {error.strerror}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target


def _from_archive(entry: Entry, path: Path, stage: Path) -> PackManifest:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.name)
            if entry.files:
                for file in entry.files:
                    _extract(archive, _one(members, file.name), stage / file.name, file.bytes)
                return entry.manifest(entry.files, entry.dimensions)
            with archive.open(_one(members, MANIFEST)) as described:
                foreign = read_foreign(described.read(FOREIGN_BYTES_MAX + 1), path.name)
            files = []
            for want in foreign.files:
                member = _one(members, want.name)
                digest = _extract(archive, member, stage / want.name, member.file_size)
                if want.sha256 and digest != want.sha256:
                    raise PackError(f"{want.name} in {path.name} is damaged")
                files.append(PackFile(
                    name=want.name, sha256=digest, bytes=member.file_size, role=want.role,
                    form=want.form, parameters=want.parameters))
            return entry.manifest(tuple(files), foreign.dimensions)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise PackError(f"{path.name} isn't a whole zip archive: {error}") from error
    except msgspec.ValidationError as error:
        raise PackError(f"{path.name} describes files that can't be: {error}") from error


def _members(archive: zipfile.ZipFile, name: str) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MEMBERS_MAX:
        raise PackError(f"{name} has more than {MEMBERS_MAX} members")
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise PackError(f"{name} has a member that points outside it")
    return members


def _one(members: list[zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    found = [item for item in members if PurePosixPath(item.filename).name == name]
    if len(found) != 1:
        raise PackError(f"the archive holds {len(found)} files {name}, one was expected")
    return found[0]


def _extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, bytes_max: int
) -> str:
    with archive.open(member) as source:
        return _write(source, target, bytes_max)


@contextlib.contextmanager
def _read(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise PackError(f"{path} isn't there") from error


def _write(source: IO[bytes], target: Path, bytes_max: int) -> str:
    """Copy at most so many bytes and give their SHA-256."""
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > bytes_max:
                raise PackError(f"{target.name} is larger than the {bytes_max} bytes stated")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
