"""What the whole paths are compared on: captures that are drawn, or somebody's photographs.

- Photographs: one folder a person (LFW is laid out so), a CSV file of labelled pairs, or loose
  pictures; the first two as `kanhe models calibrate` and `kanhe face pairs` take them.
- Of more than is wanted, whole persons are drawn, always the same ones.
- What isn't a picture is an error: a wrong folder must not look like a bad model.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, ImageError
from edge.imaging import probe_image
from kanhe.calibration.gather import SUFFIXES, find_people, read_pairs
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait


class Photos(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures and the pairs of them to decide.

    Attributes:
        pictures: Encoded, or where they are.
        pairs: Places of two pictures, int, (n, 2).
        same: Which pairs are of one person, bool, (n,); None where nobody knows.
        found: How many pictures there were to draw from.
    """

    pictures: Sequence[bytes | Path]
    pairs: npt.NDArray[np.intp]
    same: npt.NDArray[np.bool_] | None
    found: int

    def read(self, number: int) -> bytes:
        """Give one encoded picture.

        Raises:
            ConfigError: Its file can't be read, or its header isn't that of a picture.
        """
        picture = self.pictures[number]
        if isinstance(picture, bytes):
            return picture
        try:
            data = picture.read_bytes()
            probe_image(data)
        except OSError as error:
            raise ConfigError(f"{picture}: {error.strerror}") from error
        except ImageError as error:
            raise ConfigError(f"{picture}: {error}") from error
        return data


def drawn_captures(count: int) -> Photos:
    """Draw captures of the demo's people, 1280×720; of each at least two."""
    count = max(count, 2 * len(PEOPLE))
    persons = np.arange(count) % len(PEOPLE)
    frames = [face_frame(load_portrait(PEOPLE[person]), seed=turn)
              for turn, person in enumerate(persons)]
    return _all_pairs(frames, persons, count)


def find_photos(path: Path, most: int) -> Photos:
    """Find photographs: a folder of people's folders or of pictures, or a CSV file of pairs.

    Args:
        path: Where they are; paths in a CSV file begin in its folder.
        most: How many pictures of a folder to take; listed pairs are all taken.

    Raises:
        ConfigError: There is nothing to compare, or a picture can't be read.
    """
    if path.is_file():
        listed = read_pairs(path)
        pairs = listed.pairs or ()
        photos = Photos(pictures=[path.parent / name for name in listed.names],
                        pairs=np.array([(pair.a, pair.b) for pair in pairs], np.intp),
                        same=np.array([pair.same for pair in pairs]), found=len(listed.names))
    elif _pictures(path, "*/*"):
        people = find_people(path)
        chosen = _draw(people.persons, most)
        photos = _all_pairs([path / people.names[number] for number in chosen],
                            people.persons[chosen], len(people.names))
    else:
        loose = _pictures(path, "*")
        if len(loose) < 2:
            raise ConfigError(
                f"{path} holds {len(loose)} pictures and no people's folders: pairs need two")
        chosen = _draw(np.arange(len(loose)), most)
        photos = _all_pairs([loose[number] for number in chosen], None, len(loose))
    for number in range(len(photos.pictures)):
        photos.read(number)
    return photos


def _pictures(folder: Path, pattern: str) -> list[Path]:
    return sorted(item for item in folder.glob(pattern) if item.suffix.lower() in SUFFIXES)


def _draw(persons: npt.NDArray[np.integer], most: int) -> npt.NDArray[np.intp]:
    """Give the places of at most so many pictures, whole persons as far as they fit."""
    if len(persons) <= most:
        return np.arange(len(persons))
    order = np.random.default_rng(1).permutation(int(persons.max()) + 1)
    return np.sort(np.argsort(order[persons], kind="stable")[:most])


def _all_pairs(
    pictures: Sequence[bytes | Path], persons: npt.NDArray[np.integer] | None, found: int
) -> Photos:
    pairs = np.stack(np.triu_indices(len(pictures), 1), axis=1)
    same = None if persons is None else persons[pairs[:, 0]] == persons[pairs[:, 1]]
    return Photos(pictures=pictures, pairs=pairs, same=same, found=found)
