"""`face-prepost`: what a capture's face path costs beside the models themselves.

- Ours: everything of one probe but the JPEG's decoding and the runtime's `session.run`: scaling,
  decoding of the models' tensors, suppression, landmarks, chip, quality, fusion.
- Theirs: the sum of `session.run` in the very same probe.
- One core; the ratio is the median of the probes' own ratios, so that a neighbour on the machine
  who interrupts one probe doesn't count.
- `--pack DIR` measures another pack than the default one.
"""

import os
import time
from pathlib import Path

import numpy as np

from bench.harness import Result
from edge.hotpath.holder import Probe
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "face-prepost"
SIZES = ((640, 480), (1_280, 720))
ROUNDS, SMALL_ROUNDS = 60, 4
PACKS = Path("var/packs")


def run(small: bool) -> Result:
    """Measure the default pack."""
    return run_pack(small, ensure_default_pack(PACKS))


def run_pack(small: bool, folder: Path) -> Result:
    """Measure a pack on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return _run(SMALL_ROUNDS if small else ROUNDS, FaceEngine(folder))
    finally:
        os.sched_setaffinity(0, before)


def _run(rounds: int, engine: FaceEngine) -> Result:
    engine.warm()
    ratios: dict[str, float] = {}
    ours: list[float] = []
    theirs: list[float] = []
    faults = 0
    for size in SIZES:
        beside, models = [], []
        for turn in range(rounds + 1):
            person = PEOPLE[turn % len(PEOPLE)]
            frame = face_frame(load_portrait(person), seed=turn, size=size)
            start = time.perf_counter()
            probe = engine.probe([frame])
            took = (time.perf_counter() - start) * 1e3
            faults += not isinstance(probe, Probe)
            if isinstance(probe, Probe) and turn:
                spent = probe.timings_ms
                beside.append(took - spent["decode"] - spent["session_run"])
                models.append(spent["session_run"])
        ratios[f"{size[0]}x{size[1]}"] = round(
            float(np.median(np.array(beside) / np.array(models))), 4)
        ours += beside
        theirs += models
    return Result(
        measure=NAME, ours=round(float(np.median(ours)), 3),
        theirs=round(float(np.median(theirs)), 3), unit="ms", ratio=max(ratios.values()),
        against="the sum of session.run in the same probe; the worse of the sizes", n=len(ours),
        settings={"ratios": ratios, "pack": engine.pack_id, "embedder": engine.embedder_file,
                  "faults": faults, "cores": 1},
        valid=faults == 0, why=f"{faults} captures gave no probe" if faults else "",
    )
