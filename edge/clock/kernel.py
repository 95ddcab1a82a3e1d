"""What the kernel says of its clock: adjtimex(2), the anchor, and the machine's boot.

- Reading needs no privileges.
- Setting the clock by hand makes the kernel call it unsynchronised, until whatever keeps it in
  step says otherwise.
- Linux on 64 bits; elsewhere the kernel vouches for nothing.
"""

import ctypes
import struct
import time
from pathlib import Path

import msgspec

STA_UNSYNC = 0x0040
TIME_ERROR = 5
_TIMEX_BYTES = 256
_TIMEX = struct.Struct("<I4x4qi")
"""`struct timex` (adjtimex(2)): modes, offset, freq, maxerror, esterror, status."""
_MICRO = 1_000_000.0


class KernelTime(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's word about its clock.

    Attributes:
        synchronised: Something keeps it in step.
        error_s_max: Furthest that it says to be off (`maxerror`).
        error_s: What it estimates (`esterror`).
    """

    synchronised: bool = False
    error_s_max: float = 0.0
    error_s: float = 0.0


def read_kernel() -> KernelTime:
    """Ask the kernel."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        buffer = (ctypes.c_ubyte * _TIMEX_BYTES)()
        state = int(libc.adjtimex(ctypes.byref(buffer)))
    except (OSError, AttributeError):
        return KernelTime()
    return parse_timex(state, bytes(buffer))


def parse_timex(state: int, timex: bytes) -> KernelTime:
    """Read what adjtimex(2) returned and wrote."""
    fields = _TIMEX.unpack_from(timex)
    max_error, error, status = fields[3], fields[4], fields[5]
    held = state >= 0 and state != TIME_ERROR and not status & STA_UNSYNC
    return KernelTime(
        synchronised=held, error_s_max=max_error / _MICRO, error_s=error / _MICRO)


def anchor_s() -> float:
    """Give seconds that nobody can set and that count through suspension."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_boot_id(path: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Give what names the machine's present run; empty where it has no name."""
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""
