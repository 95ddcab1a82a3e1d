"""The folder that packs stand in: which are there, and where one is.

- A pack is named by its folder on the shelf, or by the path of a folder anywhere.
"""

from pathlib import Path

from edge.errors import PackError
from edge.models.manifest import MANIFEST, PackManifest, load_manifest


def installed(packs_dir: Path) -> dict[Path, PackManifest | PackError]:
    """Give every pack of a shelf; in place of a manifest that can't be read, why."""
    found: dict[Path, PackManifest | PackError] = {}
    if not packs_dir.is_dir():
        return found
    for folder in sorted(packs_dir.iterdir()):
        if folder.name.startswith(".") or not (folder / MANIFEST).is_file():
            continue
        try:
            found[folder] = load_manifest(folder)
        except PackError as error:
            found[folder] = error
    return found


def find_pack(packs_dir: Path, name: str) -> Path:
    """Find a pack's folder by name or path.

    Raises:
        PackError: There is none; says which are.
    """
    for folder in (packs_dir / name, Path(name)):
        if (folder / MANIFEST).is_file():
            return folder
    there = ", ".join(folder.name for folder in installed(packs_dir)) or "none"
    raise PackError(f"there is no pack {name!r}: in {packs_dir} are {there}, and a folder with a "
                    f"{MANIFEST} is a pack; `kanhe models list` shows what may be pulled")
