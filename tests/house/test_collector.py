"""A process whose collector was calmed ends without a word."""

import subprocess
import sys


def test_what_was_frozen_is_no_leak_at_the_end():
    code = ("import edge.hotpath.qr.rungs\n"
            "from edge.collector import calm_collector\n"
            "calm_collector()\n")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout + done.stderr == ""
