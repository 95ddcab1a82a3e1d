"""Where the command line keeps face packs, and how it opens one."""

import os
import sys
from pathlib import Path

from edge.models.convert import PACK_ID, ensure_default_pack
from edge.models.engine import FaceEngine
from edge.models.shelf import find_pack
from kanhe.progress import show_progress

HOME_VARIABLE = "KANHE_HOME"


def packs_folder() -> Path:
    """Give the folder of packs: `$KANHE_HOME/packs`, else in the user's data folder."""
    home = os.environ.get(HOME_VARIABLE)
    base = Path(home) if home else Path.home() / ".local" / "share" / "kanhe"
    return base / "packs"


def open_pack(pack: str) -> FaceEngine:
    """Open a pack by id or folder, making the default one if it isn't there.

    On a terminal its licence and weaknesses are said first.

    Raises:
        PackError: There is none, or it is damaged.
    """
    if pack == PACK_ID:
        ensure_default_pack(packs_folder(), show_progress)
    engine = FaceEngine(find_pack(packs_folder(), pack))
    if sys.stderr.isatty():
        manifest = engine.manifest
        print(f"{manifest.id} ({manifest.licence.title}): {manifest.notes.en}", file=sys.stderr)
    return engine
