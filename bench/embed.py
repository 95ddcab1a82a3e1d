"""`embed`: an aligned chip to a template, against a bare run of the same network.

- Ours: the runner, normalising, the mirrored twin's sum, int8 template. Theirs: onnxruntime's
  `InferenceSession.run` with one thread on the same file and chip.
"""

from pathlib import Path

import numpy as np
import onnxruntime

from bench.harness import Result, interleave
from edge.models.burst import to_template
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine
from edge.models.sessions import Runner, as_pixels

NAME = "embed"
PACKS = Path("var/packs")
ROUNDS, SMALL_ROUNDS, RUNS = 31, 7, 4


def run(small: bool) -> Result:
    """Time both on the same chips."""
    folder = ensure_default_pack(PACKS)
    file = folder / FaceEngine(folder).embedder_file
    runner = Runner(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    bare = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = bare.get_inputs()[0].name
    rng = np.random.default_rng(1)
    chips = [rng.integers(0, 256, (150, 150, 3), np.uint8) for _ in range(RUNS)]
    batches = [chip[None] for chip in chips]

    def _ours() -> None:
        for chip in chips:
            output, _ = runner.run(as_pixels(chip))
            pair = output / np.linalg.norm(output, axis=1, keepdims=True)
            both = pair[0] + pair[1]
            to_template(both / np.linalg.norm(both))

    def _theirs() -> None:
        for batch in batches:
            bare.run(None, {name: batch})

    rounds = SMALL_ROUNDS if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, RUNS)
    return Result(
        measure=NAME, ours=round(ours_s * 1e3, 3), theirs=round(theirs_s * 1e3, 3), unit="ms",
        ratio=round(ours_s / theirs_s, 3),
        against="onnxruntime InferenceSession.run, one thread, same file and chips",
        n=RUNS * rounds, settings={"embedder": file.name},
    )
