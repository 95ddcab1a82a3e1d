"""The face engine: an encoded capture becomes a probe, a photograph a reference.

- Built from a pack's manifest; the forms of models known are the tables here.
- Finds faces at the smallest scale that suffices; cuts the chip from the full capture.
- Blocking and thread-safe; captures live only as long as the call.
- Not here: comparison and verdict (edge.hotpath.holder).
"""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Reason
from edge.imaging import DEFAULT_LIMITS, ImageLimits, decode_rgb
from edge.models.geometry import cut_chip
from edge.models.landmarks import Landmarks
from edge.models.manifest import PackFile, PackManifest, load_manifest, verify_files
from edge.models.mmod import Face, MmodDetector
from edge.models.quality import (
    CAPTURE_FLOORS,
    ENROLMENT_FLOORS,
    Floors,
    first_below,
    judge_chip,
    unify,
)
from edge.models.sessions import Runner, as_pixels, has_vnni

DECODE_SIDE_MIN = 1_280
SEARCH_SIDES = (640, 1_280)
"""Long sides searched, the next only where the one before shows nobody."""
SECOND_FACE_RATIO = 0.5
"""A face smaller than this share of the largest is a bystander."""
SAME_PERSON_MIN = 0.90
"""Frames of one burst whose features are further apart aren't of one person."""

Rgb = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class _View(msgspec.Struct, frozen=True):
    """One frame's face."""

    features: Features
    components: dict[str, float]
    quality: float


class ReferenceDraft(msgspec.Struct, frozen=True):
    """What enrolment stores: an int8 template, its quality and components (0 to 1)."""

    template: bytes
    quality: float
    components: dict[str, float]


class FaceEngine:
    """One loaded pack."""

    def __init__(
        self, folder: Path, limits: ImageLimits = DEFAULT_LIMITS, *, threads: int = 1
    ) -> None:
        """Load and check a pack.

        Raises:
            PackError: It is damaged or has a form not known here.
        """
        self.manifest: PackManifest = load_manifest(folder)
        verify_files(folder, self.manifest)
        self._limits = limits
        self._detector = MmodDetector(folder / self._file("detector", "mmod").name, threads)
        self._landmarks = Landmarks(folder / self._file("landmarks", "dlib-5").name)
        self.embedder_file = self._file("embedder", "dlib-150").name
        self._embedder = Runner(folder / self.embedder_file, threads)

    @property
    def pack_id(self) -> str:
        """Id of the pack, as references name it."""
        return self.manifest.id

    def threshold(self, fmr: float) -> tuple[float, float] | None:
        """Give (threshold, the operating point's own FMR ≤ fmr), None if the pack is unfit."""
        point = self.manifest.operating_point(fmr)
        return (point.threshold, point.fmr) if point else None

    def strictest(self) -> tuple[float, float]:
        """Give (threshold, FMR) of the strictest operating point."""
        point = min(self.manifest.operating_points, key=lambda item: item.fmr)
        return point.threshold, point.fmr

    def warm(self) -> None:
        """Run every model once, so that the first capture finds them ready."""
        grey = np.full((360, 640, 3), 128, np.uint8)
        self._detector.detect(grey, SEARCH_SIDES[0])
        self._landmarks.predict(grey, Face(0.0, 0.0, 99.0, 99.0, 1.0))
        self._embedder.run(np.zeros((1, 150, 150, 3), np.uint8))

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        """Judge one capture, a burst of encoded frames of one person.

        Returns:
            A probe fused by quality, or why there is none. Of a burst, frames without a
            usable face are passed over as long as one is usable.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        timings = dict.fromkeys(("decode", "detect", "align", "embed", "session_run"), 0.0)
        views: list[_View] = []
        fault = ProbeFault(Reason.FACE_ABSENT)
        for image in images:
            view = self._view(image, CAPTURE_FLOORS, timings)
            if isinstance(view, _View):
                views.append(view)
            elif view.reason is Reason.FACE_MULTIPLE:
                return view
            else:
                fault = view
        if not views:
            return fault
        best = max(views, key=lambda view: view.quality)
        if any(float(view.features @ best.features) < SAME_PERSON_MIN for view in views):
            return ProbeFault(Reason.FACE_MULTIPLE, "burst")
        fused = np.sum([view.features * view.quality for view in views], axis=0)
        return Probe(
            pack=self.pack_id, template=to_template(fused), quality=best.quality,
            components=best.components, timings_ms=timings,
        )

    def make_reference_template(self, image: bytes) -> ReferenceDraft | ProbeFault:
        """Judge an enrolment photograph by the stricter floors.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        timings = dict.fromkeys(("decode", "detect", "align", "embed", "session_run"), 0.0)
        view = self._view(image, ENROLMENT_FLOORS, timings)
        if isinstance(view, ProbeFault):
            return view
        return ReferenceDraft(
            to_template(view.features).tobytes(), view.quality, view.components
        )

    def _view(
        self, image: bytes, floors: Floors, timings: dict[str, float]
    ) -> _View | ProbeFault:
        """Go from one encoded frame to its one face's features."""
        start = time.perf_counter()
        rgb = decode_rgb(image, self._limits, DECODE_SIDE_MIN)
        decoded = time.perf_counter()
        timings["decode"] += (decoded - start) * 1e3
        face = self._only_face(rgb, timings)
        detected = time.perf_counter()
        timings["detect"] += (detected - decoded) * 1e3
        if isinstance(face, ProbeFault):
            return face
        points = self._landmarks.predict(rgb, face)
        chip = cut_chip(rgb, points)
        aligned = time.perf_counter()
        timings["align"] += (aligned - detected) * 1e3
        output, seconds = self._embedder.run(as_pixels(chip))
        timings["session_run"] += seconds * 1e3
        pair: Features = output / np.linalg.norm(output, axis=1, keepdims=True)
        components = judge_chip(chip, points, float(pair[0] @ pair[1]))
        timings["embed"] += (time.perf_counter() - aligned) * 1e3
        weak = first_below(components, floors)
        if weak or not np.isfinite(pair).all():
            return ProbeFault(Reason.FACE_QUALITY_LOW, weak or "mirror")
        both = pair[0] + pair[1]
        return _View(both / np.linalg.norm(both), components, unify(components))

    def _only_face(self, rgb: Rgb, timings: dict[str, float]) -> Face | ProbeFault:
        faces: list[Face] = []
        for side in SEARCH_SIDES:
            faces, seconds = self._detector.detect(rgb, side)
            timings["session_run"] += seconds * 1e3
            if faces or side >= max(rgb.shape[:2]):
                break
        if not faces:
            return ProbeFault(Reason.FACE_ABSENT)
        largest = max(faces, key=lambda face: face.side)
        others = [face for face in faces if face.side > SECOND_FACE_RATIO * largest.side]
        return largest if len(others) == 1 else ProbeFault(Reason.FACE_MULTIPLE)

    def _file(self, role: str, form: str) -> PackFile:
        """Choose the file of a role whose need this processor meets."""
        for file in self.manifest.files:
            if file.role == role and (file.needs != "vnni" or has_vnni()):
                if file.form != form:
                    raise PackError(f"pack {self.manifest.id}: {file.name} is of form "
                                    f"{file.form!r}, which isn't known for a {role}")
                return file
        raise PackError(f"pack {self.manifest.id} has no {role} for this processor")


def to_template(features: Features) -> npt.NDArray[np.int8]:
    """Scale features by their own maximum to int8; the cosine needs no stored scale."""
    peak = float(np.abs(features).max())
    return np.asarray(np.rint(features * (127.0 / max(peak, 1e-12))), np.int8)
