"""The first three steps of codes alone, the same in every process that judges them.

- Each step is done for all cases before the next is begun.
- Not here: spending, which is the keeper's (edge.pipeline.verify, edge.pipeline.settling).
"""

from collections.abc import Sequence

from edge.pipeline.carried import check_credentials
from edge.pipeline.judgement import Judgement, undecided
from edge.pipeline.ports import Clock, Standings
from edge.pipeline.timely import check_codes


def check_unspent(cases: Sequence[Judgement], clock: Clock, cache: Standings) -> None:
    """Judge everything of codes but whether they were spent; a verdict is put into its case."""
    # 1. Scenes and gates are known.
    now = clock.now_s()
    for case in cases:
        case.now = now
    cases[0].begin()
    # 2. The codes are genuine and in time.
    check_codes(cases, clock)
    # 3. The credentials stand and are accepted here.
    check_credentials(undecided(cases), cache)
