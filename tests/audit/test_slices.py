"""The journal's thread asks for a short slice of its core, and for nothing else."""

import ctypes
import os
import platform
import struct
import subprocess
import sys
import threading

import pytest

from edge.audit.journal import FileJournal, JournalOptions
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord
from edge.scheduling import SLICE_NS, ask_short_slice

_GETATTR = {"x86_64": 315, "aarch64": 275}
_ATTR = struct.Struct("=IIQiIQQQ")
KEEPS_SLICES = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in _GETATTR, reason="asks Linux")


def attr_of(thread: int) -> dict[str, int]:
    buffer = ctypes.create_string_buffer(_ATTR.size)
    assert ctypes.CDLL(None).syscall(
        _GETATTR[platform.machine()], thread, buffer, _ATTR.size, 0) == 0
    names = ("size", "policy", "flags", "nice", "priority", "slice_ns", "deadline", "period")
    return dict(zip(names, _ATTR.unpack(buffer.raw), strict=True))


def in_a_thread(call) -> list:
    given: list = []
    thread = threading.Thread(target=lambda: given.append(call()))
    thread.start()
    thread.join()
    return given


@pytest.mark.skipif(not KEEPS_SLICES, reason="Linux before 6.12 keeps no slice")
async def test_the_journals_thread_alone_has_the_short_slice(tmp_path):
    before = attr_of(os.getpid())["slice_ns"]
    journal = FileJournal(tmp_path, NodeKey(bytes([7] * 32)).signing, JournalOptions())
    try:
        await journal.append(EventRecord(at_ms=1, event="test", detail={}))
        (writer,) = [one for one in threading.enumerate() if one.name == "kanhe-journal"]
        assert attr_of(writer.native_id)["slice_ns"] == SLICE_NS
        assert attr_of(os.getpid())["slice_ns"] == before
    finally:
        journal.close()


def test_policy_and_niceness_stay():
    def asked() -> tuple[bool, dict[str, int], dict[str, int]]:
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, 0, 3)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        before = attr_of(me)
        return ask_short_slice(), before, attr_of(me)

    (took, before, after), = in_a_thread(asked)
    assert took
    assert before["policy"] == after["policy"] == os.SCHED_BATCH
    assert before["nice"] == after["nice"] == 3
    assert after["slice_ns"] in (before["slice_ns"], SLICE_NS)


def test_a_machine_that_has_no_such_call_is_not_asked():
    code = ("import platform; platform.machine = lambda: 'other'\n"
            "from edge.scheduling import ask_short_slice; assert ask_short_slice() is False")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
