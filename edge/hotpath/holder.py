"""The holder's face against the credential's reference: comparison and verdict.

- Values in, verdict out; features come from a model pack, thresholds from its
  operating points, decisions from the scene's policy.
- Comparison is the cosine of int8 templates (scaled by their own maximum, so no
  scale is stored).
- Not here: detection, alignment, embedding (edge.models).
"""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edge.hotpath.reasons import Reason

Template = npt.NDArray[np.int8]


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Fresh features of one capture.

    Attributes:
        pack: Id of the pack that made them.
        template: int8, shape (d,).
        quality: Unified quality, 0 (worst) to 1.
        components: Quality components by name, each 0 to 1 (ISO/IEC 29794-5 terms).
        pad: Presentation attack detection, `not_checked` without a PAD pack.
        timings_ms: `decode`, `detect`, `align`, `embed`, `session_run` of this probe.
    """

    pack: str
    template: Template
    quality: float
    components: dict[str, float]
    pad: Literal["passed", "failed", "not_checked"] = "not_checked"
    timings_ms: dict[str, float] = {}


class ProbeFault(msgspec.Struct, frozen=True):
    """A capture that makes no probe: `face_absent`, `face_multiple` or `face_quality_low`.

    `why` names the failed quality component for the operator's words, if any.
    """

    reason: Reason
    why: str = ""


def compare_templates(a: Template, b: Template) -> float:
    """Give the cosine of two int8 templates of the same shape, −1 to 1."""
    x = a.astype(np.float32)
    y = b.astype(np.float32)
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0.0 else 0.0
