"""`kanhe models pull`: consent, where the files come from, and onto the shelf.

- Nothing is fetched unasked: the licence is shown and agreed to first.
- Files come from the catalogue's addresses, a mirror, a folder, or one local file; wherever
  from, each is held against its checksum.
"""

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path

from edge.errors import ConfigError, PackError
from edge.models.catalogue import Entry, find_entry
from edge.models.engine import FaceEngine
from edge.models.install import install_entry, install_folder
from edge.models.manifest import MANIFEST, Licence, hash_file, load_manifest
from edge.protocol.records import Words
from kanhe.fetch import fetch
from kanhe.progress import show_progress

_KIB = 1024


def pull(args: argparse.Namespace, packs_dir: Path, entries: tuple[Entry, ...]) -> Path:
    """Do what `models pull` was asked; give the pack's folder.

    Args:
        args: `name`, `source`, `accept_licence`, `sha256`.
        packs_dir: The shelf.
        entries: The catalogue.

    Raises:
        OperatingError: No consent, or the pack can't be had whole.
    """
    origin = Path(args.source) if args.source and "://" not in args.source else None
    if origin is not None and not origin.exists():
        raise ConfigError(f"{origin} isn't there")
    if origin is not None and (origin / MANIFEST).is_file() and not any(
        entry.id == args.name for entry in entries
    ):
        manifest = load_manifest(origin)
        if manifest.id != args.name:
            raise ConfigError(f"{origin} is the pack {manifest.id}, not {args.name}")
        _agree(manifest.id, manifest.licence, manifest.notes, accepted=args.accept_licence)
        return install_folder(origin, packs_dir, _open)
    entry = find_entry(args.name, entries)
    if args.sha256 and not entry.archive_bytes_max:
        raise ConfigError(f"--sha256 is of an archive: the files of {entry.id} are known")
    if not entry.files and not args.sha256 and origin is None:
        raise ConfigError(
            f"the checksum of {args.name} isn't known to this version: give the archive's with "
            "--sha256, from where you trust it, or the archive itself with --from FILE"
        )
    if (packs_dir / entry.id).exists():
        raise PackError(f"{packs_dir / entry.id} is there already: `kanhe models verify "
                        f"{entry.id}` checks it; remove that folder to have it made anew")
    _agree(entry.id, entry.licence, entry.notes, accepted=args.accept_licence)
    if origin is not None:
        return _from_disk(entry, origin, args.sha256, packs_dir)
    return _from_network(entry, args.source or "", args.sha256, packs_dir)


def _agree(name: str, licence: Licence, notes: Words, *, accepted: bool) -> None:
    """Show the licence and the notes, and ask."""
    use = "commercial use allowed" if licence.commercial else "NO COMMERCIAL USE"
    print(f"{name}: {licence.title} ({use})\n  {licence.words}\n  {notes.en}\n  {notes.zh}",
          file=sys.stderr)
    if accepted:
        return
    if not sys.stdin.isatty():
        raise ConfigError("the licence has to be agreed to: add --accept-licence")
    sys.stderr.write("Do you agree to this licence? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("the licence wasn't agreed to, nothing was fetched")


def _from_disk(entry: Entry, origin: Path, sha256: str, packs_dir: Path) -> Path:
    if origin.is_dir():
        names = [entry.archive_name, *(file.name for file in entry.files)]
        blobs = {name: origin / name for name in names if name and (origin / name).is_file()}
    elif len(entry.blobs) != 1:
        raise ConfigError(f"{entry.id} is made of {', '.join(entry.blobs)}: give their folder")
    else:
        blobs = {next(iter(entry.blobs)): origin}
    if entry.archive_name in blobs:
        _check(blobs[entry.archive_name], sha256)
    return install_entry(entry, blobs, packs_dir, _open)


def _from_network(entry: Entry, mirror: str, sha256: str, packs_dir: Path) -> Path:
    with _Workspace(packs_dir, entry.id) as folder:
        blobs = {}
        known = {file.name: file.sha256 for file in entry.files}
        for name, (url, bytes_max) in entry.blobs.items():
            blobs[name] = folder / name
            if not blobs[name].is_file():
                fetch(_address(url, mirror, name), blobs[name], bytes_max,
                      partial(_show, name, bytes_max))
            try:
                _check(blobs[name], known.get(name, sha256))
            except PackError:
                blobs[name].unlink()
                raise
        return install_entry(entry, blobs, packs_dir, _open)


def _address(url: str, mirror: str, name: str) -> str:
    """Give where a file is had: a mirror names the file itself, or the folder it is in."""
    if not mirror or mirror.endswith(f"/{name}"):
        return mirror or url
    return f"{mirror.rstrip('/')}/{name}"


def _show(name: str, bytes_max: int, have: int) -> None:
    show_progress(have // _KIB, max(1, bytes_max // _KIB), f"KiB of {name}")


def _check(path: Path, sha256: str) -> None:
    if sha256 and hash_file(path) != sha256.lower():
        raise PackError(f"{path.name} isn't the expected file: its checksum differs")


def _open(folder: Path) -> object:
    """Open a pack as the node would; a pack of PAD models alone has no engine of its own."""
    if load_manifest(folder).dimensions == 0:
        return None
    return FaceEngine(folder)


class _Workspace:
    """Folder of what is fetched; kept when something fails, so that it can go on."""

    def __init__(self, packs_dir: Path, name: str) -> None:
        self._folder = packs_dir / f".{name}.pull"

    def __enter__(self) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PackError(f"{self._folder} can't be made: {error.strerror}") from error
        return self._folder

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self._folder, ignore_errors=True)
