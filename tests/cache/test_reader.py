"""The store as another process reads it: the newest commit, nothing written, and reopened."""

import subprocess
import sys

import msgspec
import pytest

from edge.cache.reader import StoreReader
from edge.cache.store import LmdbStore
from edge.errors import StoreError
from edge.node_key import NodeKey
from edge.protocol.feed import PutCredential, PutStatus
from tests.fakes import city

KEY = NodeKey(bytes([9] * 32))
_KILLED = """
import os, sys
from pathlib import Path
import lmdb
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=8)
txn = env.begin()
txn.get(b"x")
print("reading", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 24)
    store.apply([PutCredential(city.credential())], 1, {})
    yield store
    store.close()


class Reader:
    """A process that reads beside this one."""

    def __init__(self, folder):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.cache.reader_process", str(folder)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)


@pytest.fixture
def reader(store, tmp_path):
    reader = Reader(tmp_path / "cache")
    yield reader
    reader.close()


def shown(value):
    return msgspec.json.decode(msgspec.json.encode(value))


def test_each_lookup_sees_the_last_commit(store, reader):
    assert reader.ask("standing ma") == shown((city.credential(), None))
    store.apply([PutStatus(city.status())], 2, {})
    assert reader.ask("standing ma") == shown((city.credential(), city.status()))
    assert reader.ask("standing wang") == [None, None]
    store.put_epochs([city.epoch(3), city.epoch(2)], {})
    assert reader.ask("epochs") == [2, 3]
    store.drop_epochs([2])
    assert reader.ask("epochs") == [3]


def test_a_reader_writes_nothing(reader):
    assert reader.ask("write") == "refused"


def test_a_store_that_took_the_folder_is_read_after_reopening(store, reader, tmp_path):
    other = LmdbStore(tmp_path / "other", KEY.derive, map_bytes=1 << 24)
    other.apply([PutCredential(city.credential("wang"))], 1, {})
    other.close()
    assert reader.ask("standing ma")[0] is not None
    (tmp_path / "cache").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "cache")
    assert reader.ask("standing ma")[0] is not None
    reader.ask("reopen")
    assert reader.ask("standing ma") == [None, None]
    assert reader.ask("standing wang") == shown((city.credential("wang"), None))


def test_a_folder_without_a_store_is_said_so_and_not_made(tmp_path):
    with pytest.raises(StoreError, match="can't be opened"):
        StoreReader(tmp_path / "nowhere", KEY.derive)
    assert not (tmp_path / "nowhere").exists()


def test_a_reader_that_was_killed_holds_nothing_for_ever(store, tmp_path):
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "cache")],
                              stdout=subprocess.PIPE, check=False)
        assert b"reading" in done.stdout
    store.forget_dead_readers()
    before = store.bytes_used
    for turn in range(60):
        store.apply([PutCredential(city.credential(f"n{n}")) for n in range(40)], 2 + turn, {})
    # Pages that nobody reads are used again.
    assert store.bytes_used < before + 3 * 1024 * 1024
