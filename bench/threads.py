"""`threads`: do the model runtime's threads fight with our own?

- Two workers judge faces at once, as a node's do: the default pack's detector at 640 pixels, the
  landmarks kernel, the embedder; beside them a third thread reads codes.
- Ours: one thread an inference, as shipped. Theirs: the runtime's own default, as many threads
  as cores that spin while they wait, with the same two workers.
- CPU time of the process a face, in interleaved rounds: threads that fight show in it whoever else
  uses the machine. `settings` hold the other ways, the clock's time a face with all workers at
  once, and the time of a code that is read meanwhile.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from bench.frame_to_text import make_frames
from bench.harness import Result
from edge.capture.reader import FrameReader
from edge.models.convert import ensure_default_pack
from edge.models.detection import Face
from edge.models.engine import FaceEngine
from edge.models.forms import FORMS
from edge.models.landmarks import Landmarks

NAME = "threads"
PACKS = Path("var/packs")
ROUNDS, SMALL_ROUNDS = 9, 1
FACES, SMALL_FACES = 8, 2
"""Of one worker in one round."""


class Way(NamedTuple):
    """How many workers, threads an inference (0 = as many as cores), and whether these spin."""

    workers: int
    threads: int
    spinning: bool


SHIPPED, DEFAULT = Way(2, 1, False), Way(2, 0, True)
WAYS = {"2 x 1": SHIPPED, "2 x cores, spinning": DEFAULT, "2 x cores": Way(2, 0, False),
        "1 x cores, spinning": Way(1, 0, True), "1 x cores": Way(1, 0, False),
        "1 x 1": Way(1, 1, False), "4 x 1": Way(4, 1, False)}


class _Round(NamedTuple):
    cpu_ms: float
    wall_ms: float
    code_ms: float


def run(small: bool) -> Result:
    """Measure all ways in turn."""
    folder = ensure_default_pack(PACKS)
    frames = [jpeg for _, jpeg in make_frames(8)]
    judges = {name: _judge(folder, way) for name, way in WAYS.items()}
    found: dict[str, list[_Round]] = {name: [] for name in WAYS}
    faces = SMALL_FACES if small else FACES
    for turn in range(1 + (SMALL_ROUNDS if small else ROUNDS)):
        for name in sorted(WAYS, reverse=bool(turn % 2)):
            each = _round(judges[name], WAYS[name].workers, faces, frames)
            if turn:  # the first warms up
                found[name].append(each)
    median = {name: _Round(*(round(statistics.median(column), 2)
                             for column in zip(*rounds, strict=True)))
              for name, rounds in found.items()}
    shipped, default = (next(median[name] for name, way in WAYS.items() if way == wanted)
                        for wanted in (SHIPPED, DEFAULT))
    return Result(
        measure=NAME, ours=shipped.cpu_ms, theirs=default.cpu_ms, unit="ms",
        ratio=round(shipped.cpu_ms / default.cpu_ms, 3),
        against="onnxruntime's default threads (all cores, spinning), same workers and networks",
        n=len(found["2 x 1"]) * faces * 2,
        settings={"cores": len(os.sched_getaffinity(0)),
                  "face_cpu_wall_code_ms": {name: list(each) for name, each in median.items()}},
    )


def _judge(folder: Path, way: Way) -> Callable[[], None]:
    """Give what a worker does for one face."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = way.threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(way.spinning)))
    detector, embedder = (
        onnxruntime.InferenceSession(str(folder / name), options,
                                     providers=["CPUExecutionProvider"])
        for name in ("detector.onnx", FaceEngine(folder).embedder_file))
    landmarks = Landmarks(folder / "landmarks.npz", FORMS["dlib-5"].defaults)
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (1, 360, 640, 3), np.uint8)
    chip = np.ascontiguousarray(picture[:, :150, :150])
    face = Face(100.0, 100.0, 250.0, 250.0, 1.0)

    def judge() -> None:
        """Run the three models once."""
        detector.run(None, {"pixels": picture})
        landmarks.predict(picture[0], face)
        embedder.run(None, {"pixels": chip})

    return judge


def _round(
    judge: Callable[[], None], workers: int, faces: int, frames: list[bytes]
) -> _Round:
    """Let the workers judge together while codes are read."""
    reader, done, took = FrameReader(), threading.Event(), []

    def work() -> None:
        """Judge the share of one worker."""
        for _ in range(faces * 2 // workers):
            judge()

    def read() -> None:
        """Read codes until the workers are done, and keep the milliseconds."""
        turn = 0
        while not done.is_set():
            start = time.perf_counter()
            reader.read(frames[turn % len(frames)])
            took.append((time.perf_counter() - start) * 1e3)
            turn += 1
            done.wait(0.02)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    codes = threading.Thread(target=read)
    start, cpu = time.perf_counter(), time.process_time()
    for thread in (codes, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    wall, spent = time.perf_counter() - start, time.process_time() - cpu
    done.set()
    codes.join()
    per = faces * 2 // workers * workers
    return _Round(spent / per * 1e3, wall / per * 1e3, statistics.median(took))
