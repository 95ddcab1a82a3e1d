"""The command line and the demo: the only room that knows edge and central."""

import os

# Before NumPy is loaded. Its OpenBLAS would let a thread a core spin for matrices of 128 × 128 that
# one finishes in less time; beside other work they wait for each other for tens of milliseconds.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
