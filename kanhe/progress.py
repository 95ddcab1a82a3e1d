"""Progress of long work on a terminal; nothing where there is none."""

import sys


def show_progress(done: int, total: int, doing: str) -> None:
    """Draw one line that replaces itself."""
    if not sys.stderr.isatty():
        return
    filled = 24 * done // max(total, 1)
    bar = "█" * filled + "░" * (24 - filled)
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r\x1b[K{bar} {done}/{total} {doing}{end}")
    sys.stderr.flush()
