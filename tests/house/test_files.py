"""A file is held by one, until that one lets go of it or ends."""

import os
import subprocess
import sys

import pytest

from edge.files import hold_file
from tests.fakes.open_files import files_open


def test_a_file_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "lock"
    held = hold_file(path)
    assert held is not None
    open_before = files_open()
    assert hold_file(path) is None
    assert files_open() == open_before
    os.close(held)
    again = hold_file(path)
    assert again is not None
    os.close(again)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_process_that_ends_lets_go_and_its_children_hold_nothing(tmp_path):
    path = tmp_path / "lock"
    code = ("import subprocess, sys; from pathlib import Path; from edge.files import hold_file; "
            "assert hold_file(Path(sys.argv[1])) is not None; "
            "child = subprocess.Popen(['sleep', '30']); print(child.pid)")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    try:
        held = hold_file(path)
        assert held is not None
        os.close(held)
    finally:
        os.kill(int(done.stdout), 15)


def test_a_file_that_cant_be_opened_or_locked_is_said_and_not_left_open(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        hold_file(tmp_path / "none" / "lock")

    def unable(*_) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", unable)
    open_before = files_open()
    with pytest.raises(OSError, match="No locks"):
        hold_file(tmp_path / "lock")
    assert files_open() == open_before
