"""`overload`: right answers in time, offered three times what the node can do.

- Mixed scenes: one call in `FACE_EVERY` brings a face, the others a code only; from eight gates;
  every code fresh and genuine. The node has one core for its loop, its journal and its faces.
- Its capacity is the highest of some steady rates of which nearly all is answered rightly in time;
  then three times as much of the mixture comes for a while.
- Goodput counts accepts within the deadline. Codes and faces are held against their own at capacity
  and the worse ratio is reported: many cheap codes can't hide starved faces.
- An answer of 200 later than its deadline, counted from when the call was sent, makes the run
  not valid.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bench.harness import Result
from bench.harness_calls import codes_of, request_of, served
from bench.harness_http import (
    FACE_SCENE,
    GATES,
    MIXED_DEADLINE_S,
    SCENE,
    fill,
    fill_faces,
)
from bench.harness_open import Reply, offer
from edge.protocol.kh1 import step_at
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "overload"
AGAINST = "the node's own peak goodput, same mixture"
CREDENTIALS, SMALL_CREDENTIALS = 60_000, 8_000
SECONDS, SMALL_SECONDS = 6.0, 2.0
FACE_EVERY = 4
RATES = (30.0, 45.0, 60.0, 75.0, 90.0, 105.0, 120.0)
SMALL_RATES = (20.0, 60.0)
NEARLY_ALL = 0.95
TIMES = 3.0
SLACK_S = 0.05
"""For the way from the node's socket to the client's clock."""
CONNECTIONS = 256


def run(small: bool) -> Result:
    """Find the peak, then offer three times as much."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return Result(measure=NAME, ours=None, theirs=None, unit="1/s", ratio=None,
                      against=AGAINST, n=0, settings={}, valid=False, why="two cores are needed")
    seconds = SMALL_SECONDS if small else SECONDS
    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        folder = Path(name)
        fill(folder, SMALL_CREDENTIALS if small else CREDENTIALS)
        fill_faces(folder)
        faces = [face_frame(load_portrait(person), seed=7) for person in PEOPLE]
        numbers = count()
        with served("mixed", folder, cores[0]) as (port, _):
            def offered(rate: float) -> list[Reply]:
                """Offer distinct requests at a rate, in 1/s."""
                calls = [next(numbers) for _ in range(int(rate * seconds))]
                return offer(port, rate, _requests(calls, faces), cores[1], CONNECTIONS)

            offered(RATES[0])  # warms both sides
            capacity, at_capacity = 0.0, Goodput(0.0, 0.0)
            for rate in SMALL_RATES if small else RATES:
                good = _goodput(offered(rate), seconds)
                if sum(good) < NEARLY_ALL * rate:
                    break
                capacity, at_capacity = rate, good
            over = offered(capacity * TIMES) if capacity else []
    return _result(over, at_capacity, capacity, seconds)


class Goodput(NamedTuple):
    """Right answers in time, a second."""

    codes: float
    faces: float


def _requests(calls: Sequence[int], faces: list[bytes]) -> list[bytes]:
    """Build calls of fresh credentials; which holder's face it is follows from the number."""
    codes = codes_of(calls, step_at(time.time()) + 1)
    requests = []
    for number, code in zip(calls, codes, strict=True):
        with_face = number % FACE_EVERY == 0
        requests.append(request_of(
            code, gate=GATES[number % len(GATES)], scene=FACE_SCENE if with_face else SCENE,
            face=faces[number % len(PEOPLE)] if with_face else None))
    return requests


def _goodput(replies: Sequence[Reply], seconds: float) -> Goodput:
    """Count accepts that came within the deadline."""
    good = [one.number for one in replies
            if b'"decision":"accept"' in one.body and one.latency_s <= MIXED_DEADLINE_S]
    faces = sum(number % FACE_EVERY == 0 for number in good)
    return Goodput((len(good) - faces) / seconds, faces / seconds)


def _result(
    over: Sequence[Reply], at_capacity: Goodput, capacity: float, seconds: float
) -> Result:
    late = sum(one.status == 200 and one.latency_s - one.sent_s > MIXED_DEADLINE_S + SLACK_S
               for one in over)
    statuses = Counter(one.status for one in over)
    unexpected = sum(n for status, n in statuses.items() if status not in (200, 503))
    good = _goodput(over, seconds)
    ratios = [ours / theirs for ours, theirs in zip(good, at_capacity, strict=True) if theirs]
    valid = bool(capacity) and not late and not unexpected
    return Result(
        measure=NAME, ours=round(sum(good), 1), theirs=round(sum(at_capacity), 1), unit="1/s",
        ratio=round(min(ratios), 3) if ratios else None, against=AGAINST, n=len(over),
        settings={
            "capacity": capacity, "offered": capacity * TIMES, "deadline_s": MIXED_DEADLINE_S,
            "face_every": FACE_EVERY, "late_200": late,
            "statuses": {str(status): n for status, n in sorted(statuses.items())},
            "codes": [round(at_capacity.codes, 1), round(good.codes, 1)],
            "faces": [round(at_capacity.faces, 1), round(good.faces, 1)],
        },
        valid=valid,
        why="" if valid else f"capacity {capacity}, {late} answers of 200 after their deadline, "
                             f"{unexpected} other statuses",
    )
