"""Gathers labelled images and judges each once: folders of people, or labelled pairs.

- A folder of people: each of its folders is one person, whatever is in it an image.
- Pairs: rows `a,b,same` of paths; who is one person follows from the pairs that are `same`.
- An image without a usable face is a failure to acquire and is kept as one; a path
  without a file is an error, since a wrong folder must not look like a bad model.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, ImageError
from edge.hotpath.holder import Probe, ProbeFault

IMAGES_MAX = 20_000
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
Judge = Callable[[Sequence[bytes]], Probe | ProbeFault]
Progress = Callable[[int, int, str], None]


class Pair(msgspec.Struct, frozen=True):
    """Two images, by their place in `Images.names`; `fold` empty where none is given."""

    a: int
    b: int
    same: bool
    fold: str = ""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled images.

    Attributes:
        names: Paths inside the root.
        persons: Number of each image's person, 0 and up.
        labels: What a person may be called in a file of groups, by number; for pairs
            the images' names.
        pairs: The pairs to compare; None = all.
    """

    names: tuple[str, ...]
    persons: npt.NDArray[np.int32]
    labels: tuple[tuple[str, ...], ...]
    pairs: tuple[Pair, ...] | None = None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each image.

    Attributes:
        unit: Templates as unit vectors, float32, (n, d); zeros where there is no face.
        acquired: Which images have a usable face.
        faults: Why others don't, by image.
    """

    unit: npt.NDArray[np.float32]
    acquired: npt.NDArray[np.bool_]
    faults: Mapping[int, str]


def find_people(root: Path) -> Images:
    """Find a folder's people.

    Raises:
        ConfigError: It holds no two persons, or more images than the bound.
    """
    try:
        folders = sorted(item for item in root.iterdir() if item.is_dir())
        files = [sorted(item for item in folder.iterdir() if item.suffix.lower() in SUFFIXES)
                 for folder in folders]
    except OSError as error:
        raise ConfigError(f"{root}: {error.strerror}") from error
    held = [(folder, images) for folder, images in zip(folders, files, strict=True) if images]
    if len(held) < 2:
        raise ConfigError(f"{root} needs one folder a person with images in it, two at least")
    names = tuple(str(image.relative_to(root)) for _, images in held for image in images)
    _check_count(len(names))
    persons = np.repeat(np.arange(len(held), dtype=np.int32), [len(images) for _, images in held])
    return Images(names=names, persons=persons,
                  labels=tuple((folder.name,) for folder, _ in held))


def read_pairs(path: Path) -> Images:
    """Read labelled pairs: columns `a`, `b`, `same` (1 or 0), and `fold` if there is one.

    Raises:
        ConfigError: It can't be read or has other columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read as CSV: {error}") from error
    if not rows or not {"a", "b", "same"} <= set(rows[0]):
        raise ConfigError(f"{path} needs the columns a, b, same")
    wrong = next((number for number, row in enumerate(rows, 2)
                  if row["same"] not in ("0", "1") or not row["a"] or not row["b"]), None)
    if wrong is not None:
        raise ConfigError(f"{path}, line {wrong}: two paths and 1 or 0 are needed")
    names = tuple(sorted({row[side] for row in rows for side in ("a", "b")}))
    _check_count(len(names))
    place = {name: number for number, name in enumerate(names)}
    pairs = tuple(
        Pair(place[row["a"]], place[row["b"]], row["same"] == "1", row.get("fold") or "")
        for row in rows)
    persons = _persons_of(len(names), pairs)
    labels: list[tuple[str, ...]] = [()] * (int(persons.max()) + 1)
    for name, person in zip(names, persons, strict=True):
        labels[person] = (*labels[person], name)
    return Images(names=names, persons=persons, labels=tuple(labels), pairs=pairs)


def read_groups(path: Path, images: Images) -> dict[str, npt.NDArray[np.bool_]]:
    """Read groups: columns `name` (a person's folder, or an image of the pairs) and `group`.

    Returns:
        By group, which persons are in it.

    Raises:
        ConfigError: It can't be read, or names nobody known.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read as CSV: {error}") from error
    if not rows or not {"name", "group"} <= set(rows[0]):
        raise ConfigError(f"{path} needs the columns name, group")
    known = {label: person for person, labels in enumerate(images.labels) for label in labels}
    groups: dict[str, npt.NDArray[np.bool_]] = {}
    for row in rows:
        if row["name"] in known and row["group"]:
            inside = groups.setdefault(row["group"], np.zeros(len(images.labels), np.bool_))
            inside[known[row["name"]]] = True
    if not groups:
        raise ConfigError(f"{path} names no person or image that is there")
    return dict(sorted(groups.items()))


def judge_images(images: Images, root: Path, judge: Judge, progress: Progress) -> Judged:
    """Judge every image once.

    Raises:
        ConfigError: A file is missing, or no image has a usable face.
    """
    templates: list[npt.NDArray[np.int8] | None] = []
    faults: dict[int, str] = {}
    for number, name in enumerate(images.names):
        progress(number, len(images.names), name)
        found = _judge(root / name, root, judge)
        if isinstance(found, str):
            faults[number] = found
        templates.append(None if isinstance(found, str) else found.template)
    progress(len(images.names), len(images.names), "done")
    width = next((len(template) for template in templates if template is not None), None)
    if width is None:
        raise ConfigError(f"no image below {root} shows a usable face: {faults[0]}")
    whole = np.stack([np.zeros(width, np.int8) if template is None else template
                      for template in templates]).astype(np.float32)
    lengths = np.linalg.norm(whole, axis=1, keepdims=True)
    return Judged(unit=whole / np.maximum(lengths, 1.0), faults=faults,
                  acquired=np.array([template is not None for template in templates], np.bool_))


def _judge(path: Path, root: Path, judge: Judge) -> Probe | str:
    try:
        found = judge([path.read_bytes()])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror} (paths begin in {root})") from error
    except ImageError as error:
        return str(error)
    if isinstance(found, ProbeFault):
        return found.reason.value + (f" ({found.why})" if found.why else "")
    return found


def _check_count(count: int) -> None:
    if count > IMAGES_MAX:
        raise ConfigError(f"{count} images are over the bound of {IMAGES_MAX}: take a sample")


def _persons_of(count: int, pairs: Sequence[Pair]) -> npt.NDArray[np.int32]:
    """Number the persons: images joined by pairs that are the same are of one."""
    parent = list(range(count))

    def root(image: int) -> int:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    for pair in pairs:
        if pair.same:
            parent[root(pair.a)] = root(pair.b)
    return np.unique([root(image) for image in range(count)],
                     return_inverse=True)[1].astype(np.int32)
