"""The forms of models that are known: role, own values, and which parameters they take.

- A form says how input and output of a file are read; what a file leaves open stands in its
  manifest and is completed here.
- Not here: the adapters themselves (edge.models.assemble).
"""

import itertools
from typing import Any

import msgspec

from edge.errors import PackError
from edge.models.manifest import PackFile, PackManifest, Parameters, Role


class Form(msgspec.Struct, frozen=True):
    """One form.

    Attributes:
        role: What a file of it does.
        defaults: Its own values; a parameter that is None here means nothing to it.
    """

    role: Role
    defaults: Parameters = Parameters()


_ARCFACE = Parameters(mean=127.5, std=127.5, colour="rgb", mirror=False, mirror_range=(0.4, 0.85),
                      same_person_min=0.3)
_GRID = Parameters(search_sides=(224, 320, 640, 1_280), enough_px=40, refine_side=640)

FORMS: dict[str, Form] = {
    "mmod": Form("detector", Parameters(search_sides=(640, 1_280), enough_px=0, refine_side=0)),
    "scrfd": Form("detector", msgspec.structs.replace(
        _GRID, mean=127.5, std=128.0, colour="rgb", score_min=0.5, overlap_max=0.4)),
    "yunet": Form("detector", msgspec.structs.replace(
        _GRID, mean=0.0, std=1.0, colour="bgr", score_min=0.7, overlap_max=0.3)),
    "dlib-5": Form("landmarks", Parameters(box_scale=1.0, box_shift=0.0)),
    "dlib-150": Form("embedder", Parameters(mirror_range=(0.90, 0.98), same_person_min=0.90)),
    "arcface-112": Form("embedder", _ARCFACE),
    "sface-112": Form("embedder", msgspec.structs.replace(_ARCFACE, mean=0.0, std=1.0)),
    "minifasnet": Form("pad", Parameters(mean=0.0, std=1.0, colour="bgr", crop_scale=2.7,
                                         live_class=1, live_min=0.5)),
    "insightface-liveness": Form("pad", Parameters(mean=0.0, std=255.0, colour="rgb",
                                                   live_min=0.8)),
}


def complete(file: PackFile) -> Parameters:
    """Give a file's parameters with its form's own values filled in.

    Raises:
        PackError: The form isn't known, isn't of that role, or takes no such parameter.
    """
    form = FORMS.get(file.form)
    if form is None or form.role != file.role:
        known = ", ".join(name for name, item in FORMS.items() if item.role == file.role)
        raise PackError(f"{file.name} is of form {file.form!r}, which isn't known for a "
                        f"{file.role}: known are {known}")
    said: dict[str, Any] = {name: value for name in Parameters.__struct_fields__
                            if (value := getattr(file.parameters, name)) is not None}
    idle = [name for name in said if getattr(form.defaults, name) is None]
    if idle:
        raise PackError(f"{file.name}: the form {file.form!r} takes no parameter {idle[0]!r}")
    return msgspec.structs.replace(form.defaults, **said)


def check_manifest(manifest: PackManifest) -> None:
    """Hold a manifest against the forms and itself, before any file is opened.

    Raises:
        PackError: It names a form that isn't known, a file twice, or an id that can't be.
    """
    names = [file.name for file in manifest.files]
    if len(set(names)) != len(names):
        raise PackError(f"pack {manifest.id} names a file twice")
    for file in manifest.files:
        complete(file)
    if any(file.role == "embedder" for file in manifest.files) and not manifest.dimensions:
        raise PackError(f"pack {manifest.id} has an embedder but says 0 dimensions")
    points = sorted(manifest.operating_points, key=lambda point: point.fmr)
    if any(strict.threshold < loose.threshold
           for strict, loose in itertools.pairwise(points)):
        raise PackError(f"pack {manifest.id}: a stricter operating point has a lower threshold")
