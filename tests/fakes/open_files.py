"""How many files this process holds open: what fails must leave none behind."""

from pathlib import Path


def files_open() -> int:
    """Count descriptors of files, sockets and locks; one more is this look's own, each time."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
