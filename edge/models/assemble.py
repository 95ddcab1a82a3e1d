"""A manifest becomes the models of an engine: which class serves which form.

- The tables here and `edge.models.forms` are all there is to add for a new form.
- Every model is tried once on a grey picture when the pack is opened, so that weights that
  aren't numbers, or of another form, are an error then and not at the gate.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.errors import PackError
from edge.models.detection import Detector, Face, Points
from edge.models.embedder import ArcfaceEmbedder, DlibEmbedder
from edge.models.forms import complete
from edge.models.grid.detector import ScrfdDetector, YunetDetector
from edge.models.landmarks import Landmarks
from edge.models.manifest import PackFile, PackManifest, Parameters, Role
from edge.models.mmod import MmodDetector
from edge.models.pad import open_pad
from edge.models.sessions import has_vnni
from edge.models.view import EmbedderModel, LandmarkModel, Parts

DETECTORS: dict[str, Callable[[Path, Parameters, int], Detector]] = {
    "mmod": MmodDetector, "scrfd": ScrfdDetector, "yunet": YunetDetector,
}
EMBEDDERS: dict[str, Callable[[Path, Parameters, int], EmbedderModel]] = {
    "dlib-150": DlibEmbedder, "arcface-112": ArcfaceEmbedder, "sface-112": ArcfaceEmbedder,
}
LANDMARKS: dict[str, Callable[[Path, Parameters], LandmarkModel]] = {"dlib-5": Landmarks}

_TRIAL = (256, 320)


def choose(manifest: PackManifest, role: Role) -> PackFile | None:
    """Choose the first file of a role whose need this processor meets."""
    return next(
        (file for file in manifest.files
         if file.role == role and (file.needs != "vnni" or has_vnni())), None,
    )


def assemble(folder: Path, manifest: PackManifest, threads: int) -> Parts:
    """Load a pack's models.

    Raises:
        PackError: A role isn't filled, a file isn't of its form, or they don't fit together.
    """
    detector_file, embedder_file = (_needed(manifest, role) for role in ("detector", "embedder"))
    detector = DETECTORS[detector_file.form](
        folder / detector_file.name, complete(detector_file), threads)
    embedder = EMBEDDERS[embedder_file.form](
        folder / embedder_file.name, complete(embedder_file), threads)
    landmarks_file = choose(manifest, "landmarks")
    landmarks = None
    # A detector's own points need no further model, if they are those the embedder wants.
    if not (detector.has_points and embedder.scheme == "arcface5"):
        if landmarks_file is not None:
            landmarks = LANDMARKS[landmarks_file.form](
                folder / landmarks_file.name, complete(landmarks_file))
        if landmarks is None or landmarks.scheme != embedder.scheme:
            raise PackError(f"pack {manifest.id}: {embedder_file.name} needs points of the scheme "
                            f"{embedder.scheme}, which nothing in the pack gives")
    pad = open_pad(folder, manifest, embedder.scheme, threads)
    parts = Parts(detector=detector, landmarks=landmarks, embedder=embedder, pad=pad)
    _try(parts, manifest, embedder_file)
    return parts


def _needed(manifest: PackManifest, role: Role) -> PackFile:
    file = choose(manifest, role)
    if file is None:
        raise PackError(f"pack {manifest.id} has no {role} for this processor")
    return file


def _try(parts: Parts, manifest: PackManifest, embedder_file: PackFile) -> None:
    """Run every model once; what the runtime or the kernels put off is done then, too."""
    grey = np.full((*_TRIAL, 3), 128, np.uint8)
    parts.detector.detect(grey, max(_TRIAL))
    if parts.landmarks:
        points: Points = parts.landmarks.predict(grey, Face(0.0, 0.0, 99.0, 99.0, 1.0))
        if not np.isfinite(points).all():
            raise PackError(f"pack {manifest.id}: the landmarks' values aren't numbers")
    side = parts.embedder.side
    features, _ = parts.embedder.embed(np.full((side, side, 3), 128, np.uint8), mirror=True)
    if features.shape != (2, manifest.dimensions):
        raise PackError(f"{embedder_file.name} gives features of shape {features.shape[1:]}, the "
                        f"manifest says {manifest.dimensions} dimensions")
    if not np.isfinite(features).all():
        raise PackError(f"{embedder_file.name}: the features aren't numbers; its weights are bad")
