"""The packs that are known by name: where they are had, under which licence, with which hashes.

- Addresses and checksums are data; nothing here fetches anything.
- A checksum stands here only where it is known: a pack without is installed with one from
  the user, or from a local file.
"""

import importlib.resources
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.errors import PackError
from edge.models.manifest import Licence, PackFile, PackManifest, PlainName
from edge.protocol.records import Words


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known pack; fields of `PackManifest` mean the same here.

    Attributes:
        urls: Of one archive, or of each file in the order of `files`.
        archive_bytes_max: More than 0: `urls` names one zip archive, never larger than this.
        files: Empty where only the archive's own description (InsightFace's manifest) tells.
        recommended: The one to take where a free licence is needed.
    """

    id: PlainName
    title: str
    licence: Licence
    source: str
    notes: Words
    dimensions: int
    normalise: bool = False
    urls: Annotated[tuple[str, ...], Meta(min_length=1)]
    archive_bytes_max: int = 0
    files: tuple[PackFile, ...] = ()
    recommended: bool = False

    @property
    def archive_name(self) -> str:
        """Name of the archive, empty if the files are fetched one by one."""
        return self.urls[0].rpartition("/")[2] if self.archive_bytes_max else ""

    @property
    def blobs(self) -> dict[str, tuple[str, int]]:
        """Name what is fetched: file name → (address, size at most)."""
        if self.archive_bytes_max:
            return {self.archive_name: (self.urls[0], self.archive_bytes_max)}
        return {file.name: (url, file.bytes)
                for file, url in zip(self.files, self.urls, strict=True)}

    def manifest(self, files: tuple[PackFile, ...], dimensions: int) -> PackManifest:
        """Give the manifest of the installed pack."""
        return PackManifest(
            id=self.id, title=self.title, licence=self.licence, source=self.source,
            notes=self.notes, dimensions=dimensions, normalise=self.normalise, files=files,
        )


def load_catalogue() -> tuple[Entry, ...]:
    """Read the catalogue that comes with the product."""
    data = importlib.resources.files("edge.models").joinpath("catalogue.json").read_bytes()
    return msgspec.json.decode(data, type=tuple[Entry, ...])


def find_entry(name: str, entries: tuple[Entry, ...]) -> Entry:
    """Find a pack by name.

    Raises:
        PackError: There is none of that name.
    """
    for entry in entries:
        if entry.id == name:
            return entry
    known = ", ".join(entry.id for entry in entries)
    raise PackError(f"no pack {name!r} is known: known are {known}; a folder with a manifest is "
                    "given with --from")
