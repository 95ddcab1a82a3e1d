"""The face engine: an encoded capture becomes a probe, a photograph a reference.

- Built from a pack's manifest (edge.models.assemble).
- Blocking and thread-safe; captures live only as long as the call.
- Not here: comparison and verdict (edge.hotpath.holder).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge.errors import PackError
from edge.hotpath.holder import Probe, ProbeFault
from edge.imaging import DEFAULT_LIMITS, ImageLimits
from edge.models.assemble import assemble, choose
from edge.models.burst import BurstRules, fuse_views, to_template
from edge.models.forms import check_manifest, complete
from edge.models.manifest import PackManifest, load_manifest, verify_files
from edge.models.pad import open_pad
from edge.models.quality import CAPTURE_FLOORS, ENROLMENT_FLOORS, Floors
from edge.models.view import TIMINGS, FrameView, view_frame


class ReferenceDraft(msgspec.Struct, frozen=True):
    """What enrolment stores: an int8 template, its quality and components (0 to 1)."""

    template: bytes
    quality: float
    components: dict[str, float]


class FaceEngine:
    """One loaded pack."""

    def __init__(
        self, folder: Path, limits: ImageLimits = DEFAULT_LIMITS, *, threads: int = 1,
        pad_folder: Path | None = None,
    ) -> None:
        """Load and check a pack.

        Args:
            folder: Of the pack.
            limits: Of images.
            threads: Of one inference.
            pad_folder: Of another pack whose PAD is used instead of the pack's own.

        Raises:
            PackError: One is damaged or has a form not known here, or they don't fit together.
        """
        self.manifest: PackManifest = load_manifest(folder)
        check_manifest(self.manifest)
        verify_files(folder, self.manifest)
        self._limits = limits
        self._parts = assemble(folder, self.manifest, threads)
        self.pad_manifest = self.manifest if self._parts.pad else None
        if pad_folder is not None:
            self._take_pad(pad_folder, threads)
        embedder = choose(self.manifest, "embedder")
        assert embedder is not None
        self.embedder_file = embedder.name
        same_person_min = complete(embedder).same_person_min
        assert same_person_min is not None
        pad = self._parts.pad
        self._rules = BurstRules(pack=self.manifest.id, same_person_min=same_person_min,
                                 live_min=pad.live_min if pad else None)

    @property
    def pack_id(self) -> str:
        """Id of the pack, as references name it."""
        return self.manifest.id

    def threshold(self, fmr: float) -> tuple[float, float] | None:
        """Give (threshold, the operating point's own FMR ≤ fmr), None if the pack is unfit."""
        point = self.manifest.operating_point(fmr)
        return (point.threshold, point.fmr) if point else None

    def strictest(self) -> tuple[float, float] | None:
        """Give (threshold, FMR) of the strictest operating point, None if the pack has none."""
        point = min(self.manifest.operating_points, key=lambda item: item.fmr, default=None)
        return (point.threshold, point.fmr) if point else None

    def warm(self) -> None:
        """Search once at the first scale, so that the first capture finds everything ready."""
        side = self._parts.detector.search_sides[0]
        self._parts.detector.detect(np.full((side * 9 // 16, side, 3), 128, np.uint8), side)

    def views(
        self, images: Sequence[bytes], floors: Floors | None = CAPTURE_FLOORS
    ) -> list[FrameView | ProbeFault]:
        """Look at each frame of a burst.

        Args:
            images: Encoded frames.
            floors: Quality floors; None = a poor face (one turned away by a challenge) is
                viewed all the same.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        return self._look(images, floors, mirror=False)[0]

    def probe(self, images: Sequence[bytes]) -> Probe | ProbeFault:
        """Judge one capture, a burst of encoded frames of one person.

        Returns:
            A probe fused by quality, or why there is none. Of a burst, frames without a
            usable face are passed over as long as one is usable.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        # A frame below the floors adds nothing to the probe, but shows what the head does.
        views, timings = self._look(images, None, mirror=False)
        return fuse_views(views, self._rules, timings)

    def make_reference_template(self, image: bytes) -> ReferenceDraft | ProbeFault:
        """Judge an enrolment photograph by the stricter floors.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
        """
        (view,), _ = self._look([image], ENROLMENT_FLOORS, mirror=True)
        if isinstance(view, ProbeFault):
            return view
        return ReferenceDraft(
            to_template(view.features).tobytes(), view.quality, view.components
        )

    def _take_pad(self, folder: Path, threads: int) -> None:
        manifest = load_manifest(folder)
        check_manifest(manifest)
        verify_files(folder, manifest)
        pad = open_pad(folder, manifest, self._parts.embedder.scheme, threads)
        if pad is None:
            raise PackError(f"pack {manifest.id} holds no PAD model, so it can't be the pad_pack")
        self._parts = msgspec.structs.replace(self._parts, pad=pad)
        self.pad_manifest = manifest

    def _look(
        self, images: Sequence[bytes], floors: Floors | None, *, mirror: bool
    ) -> tuple[list[FrameView | ProbeFault], dict[str, float]]:
        timings = dict.fromkeys(TIMINGS, 0.0)
        views = [view_frame(image, self._limits, self._parts, floors, timings, mirror=mirror,
                            burst=len(images) > 1) for image in images]
        return views, timings
