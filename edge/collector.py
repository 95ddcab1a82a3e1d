"""The garbage collector of a process that answers: what is there at the start is left alone.

- Modules, models and compiled kernels live as long as the process: frozen, they aren't walked again
  by each full collection.
- A young collection is due after `YOUNG_MAX` container objects instead of 700: the calls of a whole
  turn of the event loop are then usually dead when it comes, and it walks few objects. Objects that
  are no part of a cycle go at once, as ever; the thresholds bound only what cycles hold.
- At the end all of it is let go, or libraries that watch over theirs would report leaks.
"""

import atexit
import gc

YOUNG_MAX = 20_000
MIDDLE_EVERY = 20
OLD_EVERY = 50


def calm_collector() -> None:
    """Freeze what lives on and widen the thresholds; once, when the process is warm."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.set_threshold(YOUNG_MAX, MIDDLE_EVERY, OLD_EVERY)
