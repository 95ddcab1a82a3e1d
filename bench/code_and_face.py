"""`code-and-face`: one verification with pictures, bytes to verdict, in process.

- Ours: frame reader, presentation, face probe, comparison. Theirs: the same pictures decoded
  once, one zxing-cpp pass with default options, and the time that the model runtime took in
  the very same verification.
- One core: the process is pinned, the runtime has one thread.
"""

import os
import time
from pathlib import Path

import numpy as np
import simplejpeg
import zxingcpp

from bench.harness import Result
from edge.capture.reader import FrameReader
from edge.hotpath.holder import Probe, compare_templates
from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine, ReferenceDraft
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of, step_at
from edge.protocol.records import EpochKeys
from kanhe.demo.frames import face_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "code-and-face"
ROUNDS, SMALL_ROUNDS = 60, 4
NOW = 1_820_900_002.0
PACKS = Path("var/packs")


def run(small: bool) -> Result:
    """Measure on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return _run(SMALL_ROUNDS if small else ROUNDS)
    finally:
        os.sched_setaffinity(0, before)


def _run(rounds: int) -> Result:
    engine, reader = FaceEngine(ensure_default_pack(PACKS)), FrameReader()
    engine.warm()
    step = step_at(NOW)
    epoch = DerivedKeys(EpochKeys(key_epoch=key_epoch_of(step), master=os.urandom(32),
                                  seal_private=os.urandom(32)))
    keys, window = KeyRing([epoch]), DriftWindow()
    ours, theirs, wrong = [], [], 0
    for turn in range(rounds + 1):
        person = PEOPLE[turn % len(PEOPLE)]
        wallet = derive_wallet_keys(epoch, SUITE_COMPACT, os.urandom(16))
        code = phone_frame(make_presentation(wallet, step), seed=turn)
        face = face_frame(load_portrait(person), seed=turn)
        draft = engine.make_reference_template(
            simplejpeg.encode_jpeg(load_portrait(person), 95))
        assert isinstance(draft, ReferenceDraft)
        stored = np.frombuffer(draft.template, np.int8)
        start = time.perf_counter()
        texts = reader.read(code).texts
        genuine = check_presentation(texts[0] if texts else "", NOW, keys, window)
        probe = engine.probe([face])
        score = compare_templates(stored, probe.template) if isinstance(probe, Probe) else 0.0
        took = time.perf_counter() - start
        wrong += not isinstance(genuine, AuthenticPresentation) or score < 0.928
        start = time.perf_counter()
        plane = simplejpeg.decode_jpeg(code, "GRAY")[:, :, 0]
        zxingcpp.read_barcodes(plane)
        simplejpeg.decode_jpeg(face, "RGB")
        floor = time.perf_counter() - start
        if isinstance(probe, Probe) and turn:
            ours.append(took * 1e3)
            theirs.append(floor * 1e3 + probe.timings_ms["session_run"])
    return Result(
        measure=NAME, ours=round(float(np.median(ours)), 2),
        theirs=round(float(np.median(theirs)), 2), unit="ms",
        ratio=round(float(np.median(np.array(ours) / np.array(theirs))), 3),
        against="simplejpeg decodes of both + one default zxing pass + sum of session.run",
        n=len(ours), settings={"size": "1280x720", "pack": engine.pack_id,
                               "embedder": engine.embedder_file, "wrong": wrong, "cores": 1},
        valid=wrong == 0, why=f"{wrong} wrong answers" if wrong else "",
    )
