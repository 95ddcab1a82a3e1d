"""Where the command line keeps face packs, and how it opens one."""

import os
from pathlib import Path

from edge.errors import PackError
from edge.models.convert import PACK_ID, ensure_default_pack
from edge.models.engine import FaceEngine
from kanhe.progress import show_progress

HOME_VARIABLE = "KANHE_HOME"


def packs_folder() -> Path:
    """Give the folder of packs: `$KANHE_HOME/packs`, else in the user's data folder."""
    home = os.environ.get(HOME_VARIABLE)
    base = Path(home) if home else Path.home() / ".local" / "share" / "kanhe"
    return base / "packs"


def open_pack(pack: str) -> FaceEngine:
    """Open a pack by id or folder, making the default one if it isn't there.

    Raises:
        PackError: There is none, or it is damaged.
    """
    folder = packs_folder() / pack
    if pack == PACK_ID:
        folder = ensure_default_pack(packs_folder(), show_progress)
    elif Path(pack).is_dir():
        folder = Path(pack)
    elif not folder.is_dir():
        raise PackError(f"there is no pack {pack!r}: see `kanhe models list`")
    return FaceEngine(folder)
