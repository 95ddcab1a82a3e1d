"""How a thread shares its core with others: sched_setattr(2).

- A thread that mostly waits for the disk is woken late where another uses its whole slice first.
  With a short slice of its own the kernel lets it go on at once; it gets no larger share.
- Needs no privileges. Kernels before 6.12 take it and do nothing with it; elsewhere it isn't asked.
"""

import ctypes
import os
import platform
import struct
import sys

SLICE_NS = 100_000
"""The shortest that the kernel gives."""
_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTR = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_KEEP_POLICY = 0x08
"""`SCHED_FLAG_KEEP_POLICY`: who gave the process another policy keeps it."""


def ask_short_slice() -> bool:
    """Ask for the calling thread to have `SLICE_NS` of its core at a time.

    Its policy and niceness stay.

    Returns:
        Whether the kernel took it.
    """
    number = _SETATTR.get(platform.machine())
    if number is None or sys.platform != "linux":
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attr = _ATTR.pack(_ATTR.size, 0, _KEEP_POLICY, nice, 0, SLICE_NS, 0, 0)
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.syscall(number, 0, attr, 0) == 0)
    except (OSError, AttributeError):
        return False
