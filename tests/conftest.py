"""Fixtures that several rooms share."""

from pathlib import Path

import pytest

import kanhe  # noqa: F401 - first: it bounds what threads NumPy starts
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine

PACKS = Path(__file__).resolve().parents[1] / "var" / "packs"


@pytest.fixture(scope="session")
def face_pack_dir() -> Path:
    """The default pack, made once and kept for the next run."""
    return ensure_default_pack(PACKS)


@pytest.fixture(scope="session")
def face_engine(face_pack_dir) -> FaceEngine:
    return FaceEngine(face_pack_dir)
