"""An administrator's word about the time, given by the command."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from edge.clock import SystemClock
from edge.clock.kernel import KernelTime
from edge.errors import ConfigError
from kanhe.clock_word import vouch


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "node.key").write_bytes(b"")
    return tmp_path


def told(seconds: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_node_on_this_machine_takes_the_word_up(folder):
    clock = SystemClock(folder=folder, kernel=KernelTime)
    clock.recover()
    assert clock.state == "untrusted"
    assert abs(vouch(folder, told())) < 1
    fresh = SystemClock(folder=folder, kernel=KernelTime)
    fresh.recover()
    assert fresh.detail().vouched_by == ("an administrator",)
    assert fresh.state == "trusted"


@pytest.mark.parametrize("seconds", [4.0, -4.0, 3600.0])
def test_a_word_that_this_clock_contradicts_is_refused_and_nothing_is_kept(folder, seconds):
    with pytest.raises(ConfigError, match="set it first"):
        vouch(folder, told(seconds))
    assert [path.name for path in folder.iterdir()] == ["node.key"]


@pytest.mark.parametrize("text", ["", "noon", "2026-11-24T12:34:56", "1764000000"])
def test_what_is_no_time_with_an_offset_is_refused(folder, text):
    with pytest.raises(ConfigError, match="no time with an offset"):
        vouch(folder, text)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no node's data folder"):
        vouch(tmp_path, time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()))
