"""A process that changes a gallery until it is killed."""

import hashlib
import itertools
import sys
from pathlib import Path

import numpy as np

from edge.cache.gallery.gallery import Gallery


def derive(purpose: bytes) -> bytes:
    return hashlib.sha256(b"test " + purpose).digest()


def row_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-127, 128, 128).astype(np.int8)


def main() -> None:
    gallery = Gallery(Path(sys.argv[1]), "p", 128, derive, boot_id=b"boot")
    gallery.warm()
    print("changing", flush=True)
    for turn in itertools.count():
        id_ = hashlib.sha256(b"holder %d" % (turn % 300)).digest()[:16]
        if turn % 3 == 2:
            gallery.drop(id_, "p")
        else:
            gallery.put(id_, "p", row_of(turn % 251))
        if turn % 50 == 49:
            gallery.settle(b"%d" % turn)


if __name__ == "__main__":
    main()
