"""What the codes of holders say of the time: a median of many, moved by none.

- Only codes whose MAC held are heard. One credential has one vote, its newest code's; an older
  code shown again (a photograph) doesn't replace it.
- A bounded number of votes, each for a bounded time, and silence below `VOTES_MIN`.
- Kept against the anchor, so that a wall clock that is set doesn't move a vote.
- Ids stay in memory only.
"""

from collections import OrderedDict
from statistics import median, quantiles

from edge.clock.judge import Word
from edge.protocol.steps import STEP_S

VOTES_MIN = 12
VOTES_MAX = 256
VOTE_S_MAX = 1_800.0
SPREAD_S_MAX = 15.0
"""Widest middle half of the votes that says anything."""


class Codes:
    """The votes of the last half hour."""

    def __init__(self) -> None:
        """Begin without any."""
        self._votes: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        """Count them."""
        return len(self._votes)

    def saw(self, credential_id: bytes, step: int, anchor_s: float) -> None:
        """Count a genuine code."""
        held = self._votes.get(credential_id)
        if held is not None and held[0] >= step:
            return
        self._votes[credential_id] = (step, anchor_s)
        self._votes.move_to_end(credential_id)
        if len(self._votes) > VOTES_MAX:
            self._votes.popitem(last=False)

    def word(self, anchor_s: float) -> Word | None:
        """Give what they say together, None if they are too few or too far apart."""
        while self._votes:
            oldest = next(iter(self._votes))
            if anchor_s - self._votes[oldest][1] <= VOTE_S_MAX:
                break
            del self._votes[oldest]
        if len(self._votes) < VOTES_MIN:
            return None
        # A code is shown for a step; half of it is the best guess of when within it.
        offsets = [step * STEP_S + STEP_S / 2 - at for step, at in self._votes.values()]
        low, _, high = quantiles(offsets, n=4)
        if high - low > SPREAD_S_MAX:
            return None
        newest = max(at for _, at in self._votes.values())
        return Word(median(offsets), newest)
