"""A machine whose clocks a test sets: wall, anchor, kernel, boot."""

from pathlib import Path

from edge.clock import SystemClock
from edge.clock.kernel import KernelTime

NOON = 21_100 * 86_400 + 43_200.0
IN_STEP = KernelTime(synchronised=True, error_s_max=0.01, error_s=0.001)
ALONE = KernelTime()


class Machine:
    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.wall, self.anchor, self.kernel, self.boot = NOON, 5_000.0, ALONE, "boot-1"

    def clock(self) -> SystemClock:
        """Start a process that asks for the time."""
        return SystemClock(
            now=lambda: self.wall, anchor=lambda: self.anchor, kernel=lambda: self.kernel,
            folder=self.folder, boot_id=self.boot)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.anchor += seconds

    def is_set(self, seconds: float) -> None:
        """Somebody sets the wall clock; the kernel calls that unsynchronised."""
        self.wall += seconds
        self.kernel = ALONE

    def reboots(self) -> None:
        self.passes(60)
        self.anchor, self.boot = 10.0, self.boot + "+"

    def show_codes(self, clock: SystemClock, count: int, late_s: float = 0.0) -> None:
        """Genuine codes of so many holders, which the node sees late."""
        for number in range(count):
            clock.saw(number.to_bytes(16, "big"), int((self.wall - late_s) // 5))
