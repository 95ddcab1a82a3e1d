"""The demo's holders: real faces from pictures that installed packages carry.

- insightface's sample picture shows four persons well enough to enrol, scikit-image's
  astronaut one; each is cut out once as an enrolment photograph.
- There is one picture of each person, so a capture is that picture rescaled, shifted,
  relit and recompressed; every table that shows one says "same photograph".
- Names and numbers are made up; numbers follow GB 11643 with a right check character.
"""

import importlib.util
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import OperatingError

Image = npt.NDArray[np.uint8]
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_REGION = "330203"
"""Haishu district, Ningbo."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A made-up holder with a real picture.

    Attributes:
        key: Short name used by the story.
        picture: Package and path of the picture inside it.
        box: Left, top, right, bottom of the portrait in pixels, None for the whole picture.
        birth_date: ISO date, part of the resident ID number.
        sequence: Three digits; odd is male, even female.
    """

    key: str
    name: str
    sex: str
    birth_date: str
    sequence: int
    picture: tuple[str, str]
    box: tuple[int, int, int, int]

    @property
    def id_number(self) -> str:
        """The GB 11643 number."""
        body = _REGION + self.birth_date.replace("-", "") + f"{self.sequence:03d}"
        total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
        return body + _CHECK[total % 11]


_GROUP = ("insightface", "data/images/t1.jpg")
PEOPLE: tuple[Person, ...] = (
    Person(key="ma", name="马晓芸", sex="女", birth_date="1990-02-11", sequence=24,
           picture=_GROUP, box=(0, 190, 300, 520)),
    Person(key="shi", name="施大为", sex="男", birth_date="1986-11-02", sequence=11,
           picture=_GROUP, box=(400, 190, 690, 490)),
    Person(key="bao", name="包乐", sex="男", birth_date="1991-08-19", sequence=313,
           picture=_GROUP, box=(680, 270, 930, 560)),
    Person(key="fang", name="方菲", sex="女", birth_date="1983-07-30", sequence=402,
           picture=_GROUP, box=(1050, 210, 1280, 500)),
    Person(key="lin", name="林宇航", sex="女", birth_date="1976-11-20", sequence=66,
           picture=("skimage", "data/astronaut.png"), box=(80, 0, 380, 300)),
)


def load_portrait(person: Person) -> Image:
    """Cut one person's portrait out of the package's picture.

    Returns:
        RGB uint8, shape (height, width, 3).

    Raises:
        OperatingError: The package doesn't carry the picture.
    """
    picture = _load_picture(*person.picture)
    left, top, right, bottom = person.box
    return np.ascontiguousarray(picture[top:bottom, left:right])


def load_group() -> Image:
    """Give the picture with six persons, RGB uint8."""
    return _load_picture(*_GROUP)


def _load_picture(package: str, inner: str) -> Image:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / inner
        bgr = cv2.imread(str(path)) if path.is_file() else None
        if bgr is not None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    raise OperatingError(
        f"the package {package} doesn't carry {inner}: install the locked versions (make run)"
    )
