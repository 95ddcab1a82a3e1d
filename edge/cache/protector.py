"""The site's secret of one generation, and how references are protected and renewed with it.

- What is kept of it (`Site`) is sealed in the store; nothing here shows it.
- Not here: the table of references (edge.cache.references), the mathematics (edge.hotpath.renewal).
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from edge.hotpath import renewal
from edge.hotpath.holder import Template
from edge.protocol.records import ReferenceRecord

ROTATIONS_MAX = 8
"""Kept at once: packs in use, by length."""
_encode = msgspec.msgpack.Encoder().encode


class Site(msgspec.Struct, frozen=True, array_like=True):
    """Generation and secret of the site's rotation, as they are kept."""

    generation: int
    secret: bytes

    def __repr__(self) -> str:
        """Show the generation only."""
        return f"Site(generation={self.generation})"


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """Holders with a face, and references by pack; kept, because counting takes seconds."""

    faces: int
    packs: dict[str, int]


class Protector:
    """One generation of the site's secret, and the rotations made of it."""

    def __init__(self, generation: int, secret: bytes) -> None:
        """Hold a secret; generation 0 is none, and protects nothing."""
        self.generation, self._secret = generation, secret
        self._rotations: dict[tuple[str, int], renewal.Values] = {}

    def rotation(self, pack: str, dimensions: int) -> renewal.Values:
        """Give the rotation for a pack's templates."""
        key = (pack, dimensions)
        found = self._rotations.get(key)
        if found is None:
            if len(self._rotations) >= ROTATIONS_MAX:
                self._rotations.pop(next(iter(self._rotations)))
            found = renewal.derive_rotation(self._secret, pack, dimensions)
            self._rotations[key] = found
        return found

    def protected(self, record: ReferenceRecord) -> ReferenceRecord:
        """Give a reference as it is stored, of one as the platform sends it."""
        template = np.frombuffer(record.template, np.int8)
        coarse, fine = renewal.protect(template, self.rotation(record.pack, len(template)))
        return msgspec.structs.replace(
            record, template=coarse.tobytes(), fine=fine.tobytes(), generation=self.generation)

    def renewed(self, records: Sequence[ReferenceRecord], old: "Protector") -> list[bytes]:
        """Give the stored form of references of one pack and length, renewed from `old`."""
        pack, dimensions = records[0].pack, len(records[0].template)
        coarse = _rows([record.template for record in records], dimensions)
        fine, before = None, None
        if old.generation:
            fine = _rows([record.fine for record in records], dimensions)
            before = old.rotation(pack, dimensions)
        matrix = renewal.renewal_matrix(before, self.rotation(pack, dimensions))
        coarse, fine = renewal.renew(coarse, fine, matrix)
        return [
            _encode(msgspec.structs.replace(
                record, template=coarse[row].tobytes(), fine=fine[row].tobytes(),
                generation=self.generation))
            for row, record in enumerate(records)
        ]

    def __repr__(self) -> str:
        """Show the generation only."""
        return f"Protector(generation={self.generation})"


def _rows(templates: Sequence[bytes], dimensions: int) -> Template:
    return np.frombuffer(b"".join(templates), np.int8).reshape(-1, dimensions)
