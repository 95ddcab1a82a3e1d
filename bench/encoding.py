"""`encoding`: an answer of the interface to JSON, against orjson on plain dictionaries.

- Ours: msgspec on the answer's structs, as the node sends it. Theirs: `orjson.dumps` of the same
  answer, already a dictionary.
"""

import msgspec
import orjson

from bench.harness import Result, interleave
from bench.harness_sample import answer
from edge.pipeline.answer import Answer

NAME = "encoding"
ANSWERS = 5_000
ROUNDS, SMALL_ROUNDS = 31, 7


def run(small: bool) -> Result:
    """Encode many answers."""
    answers: list[Answer] = [answer(number) for number in range(ANSWERS)]
    plain = [msgspec.to_builtins(item) for item in answers]
    encode = msgspec.json.Encoder().encode
    dumps = orjson.dumps

    def _ours() -> None:
        for item in answers:
            encode(item)

    def _theirs() -> None:
        for item in plain:
            dumps(item)

    same = all(orjson.loads(encode(item)) == twin
               for item, twin in zip(answers[:50], plain, strict=False))
    rounds = SMALL_ROUNDS if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, ANSWERS)
    return Result(
        measure=NAME, ours=round(ours_s * 1e6, 3), theirs=round(theirs_s * 1e6, 3), unit="us",
        ratio=round(ours_s / theirs_s, 3), against="orjson.dumps of the same dictionaries",
        n=ANSWERS * rounds, settings={"bytes": len(encode(answers[0]))}, valid=same,
        why="" if same else "the texts differ",
    )
