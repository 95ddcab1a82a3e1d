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

SLICE_NS_MIN, SLICE_NS_MAX = 100_000, 100_000_000
"""What the kernel takes; shorter or longer ones it would cut to that."""
_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTR = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_KEEP_POLICY = 0x08
"""`SCHED_FLAG_KEEP_POLICY`: who gave the process another policy keeps it."""


def ask_slice(slice_ns: int) -> bool:
    """Ask for the calling thread's slice of its core; its policy and niceness stay.

    Args:
        slice_ns: Nanoseconds between `SLICE_NS_MIN` and `SLICE_NS_MAX`.

    Returns:
        Whether the kernel took it.
    """
    number = _SETATTR.get(platform.machine())
    if number is None or sys.platform != "linux":
        return False
    bounded = min(max(slice_ns, SLICE_NS_MIN), SLICE_NS_MAX)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attr = _ATTR.pack(_ATTR.size, 0, _KEEP_POLICY, nice, 0, bounded, 0, 0)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.syscall(number, 0, attr, 0) == 0)
    except (OSError, AttributeError):
        return False
