"""The report of a calibration: one HTML file that needs nothing else.

- Pairs are named by their files only; no picture of a face is in it.
"""

from datetime import UTC, datetime
from importlib.resources import files

import jinja2
import numpy as np
from markupsafe import Markup

from edge.hotpath.rates import ERRORS_MIN
from edge.models.manifest import PackManifest
from edge.models.operating import SiteCalibration
from kanhe.calibration.charts import draw_errors, draw_scores
from kanhe.calibration.gather import Images, Judged
from kanhe.calibration.measure import Measured
from kanhe.calibration.score import Scored

WORST_SHOWN = 20
FAULTS_SHOWN = 200
Row = tuple[str, str, float]


def render_report(
    manifest: PackManifest, site: SiteCalibration, images: Images, judged: Judged,
    scored: Scored, measured: Measured, *, signed: bool,
) -> str:
    """Write the page."""
    text = files("kanhe.calibration").joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(text).render(
        pack=manifest, site=site, measured=measured, signed=signed, errors_min=ERRORS_MIN,
        date=datetime.fromtimestamp(site.measured_s, UTC).strftime("%Y-%m-%d %H:%M"),
        # Our own drawing of numbers; no text from outside is in it.
        errors_svg=Markup(draw_errors(scored, measured.points)),  # noqa: S704
        scores_svg=Markup(draw_scores(scored, measured.points)),  # noqa: S704
        worst_impostor=_worst_impostor(images, scored),
        worst_genuine=_worst_genuine(images, scored),
        faults=[(images.names[image], why) for image, why in judged.faults.items()][:FAULTS_SHOWN],
    )


def _worst_impostor(images: Images, scored: Scored) -> list[Row]:
    return [
        (images.names[a], images.names[b], float(score))
        for (a, b), score in zip(
            scored.impostor_images[:WORST_SHOWN], scored.impostor[:WORST_SHOWN], strict=True)
    ]


def _worst_genuine(images: Images, scored: Scored) -> list[Row]:
    seen = np.nonzero(np.isfinite(scored.genuine))[0]
    order = seen[np.argsort(scored.genuine[seen], kind="stable")][:WORST_SHOWN]
    return [
        (images.names[a], images.names[b], float(scored.genuine[place]))
        for place, (a, b) in zip(order, scored.genuine_images[order], strict=True)
    ]
