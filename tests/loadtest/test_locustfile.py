"""The Locust file is read by the real Locust, where that is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_locustfile_compiles():
    path = ROOT / "loadtest" / "locustfile.py"
    compile(path.read_text(), str(path), "exec")


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust isn't installed")
def test_locust_takes_it_and_refuses_another_machine():
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "-u", "1",
         "-t", "1s", "--host", "http://192.0.2.1:8080"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False)
    assert done.returncode != 0
    assert "isn't this machine" in done.stderr
