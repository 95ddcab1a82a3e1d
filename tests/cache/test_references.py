"""References at rest: protected, counted, told, renewed; killed at any time, never a mix."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.cache.store import LmdbStore
from edge.errors import StoreError
from edge.hotpath.holder import Probe, compare_templates
from edge.hotpath.renewal import whole
from edge.node_key import NodeKey
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord

ROOT = Path(__file__).resolve().parents[2]
KEY = NodeKey(bytes([7] * 32))


@pytest.fixture
def store(tmp_path):
    store = LmdbStore(tmp_path / "cache", KEY.derive)
    yield store
    store.close()


class Listener:
    def __init__(self):
        self.heard = []

    def put(self, holder_id, pack, row):
        self.heard.append(("put", holder_id, pack, row.shape))

    def drop(self, holder_id, pack):
        self.heard.append(("drop", holder_id, pack))


def template(n, d=128):
    return np.random.default_rng(n).integers(-127, 128, d).astype(np.int8)


def holder(n):
    return n.to_bytes(16, "big")


def reference(n, pack="p", purpose="verification"):
    return ReferenceRecord(holder_id=holder(n), pack=pack, template=template(n).tobytes(),
                           created_s=1, purpose=purpose)


def test_references_of_a_pack_come_with_their_holders(store):
    put = [PutReference(reference(n, pack)) for n in range(9_000) for pack in ("p", "q")]
    store.apply(put, len(put), {})
    found = dict(store.references("q"))
    assert set(found) == {holder(n) for n in range(9_000)}
    assert {record.pack for record in found.values()} == {"q"}
    assert not list(store.references("none"))


def test_sinks_hear_of_references_in_order_and_by_purpose(store):
    both, one = Listener(), Listener()
    store.add_sink(both)
    store.add_sink(one, "identification")
    store.apply([PutReference(reference(1, purpose="identification"))], 1, {})
    store.apply([PutReference(reference(1)), DropReference(holder(1), "p")], 3, {})
    put, drop = ("put", holder(1), "p", (128,)), ("drop", holder(1), "p")
    assert both.heard == [put, put, drop]
    assert one.heard == [put, drop, drop]
    assert [n for n, _ in store.references("p", "identification")] == []


def test_a_sink_hears_nothing_of_what_was_not_written(store):
    listener = Listener()
    store.add_sink(listener)
    store.close()
    with pytest.raises(StoreError):
        store.apply([PutReference(reference(1))], 1, {})
    assert not listener.heard


def test_faces_are_holders_and_references_are_counted_by_pack(store, tmp_path):
    store.apply([PutReference(reference(n, pack)) for n in (1, 2) for pack in "pq"], 1, {})
    store.apply([PutReference(reference(1)), PutReference(reference(3))], 2, {})
    store.apply([DropReference(holder(1), "p"), DropReference(holder(9), "p")], 3, {})
    assert (store.faces, dict(store.references_held)) == (3, {"p": 2, "q": 2})
    store.apply([DropReference(holder(1), "q")], 4, {})
    assert (store.faces, dict(store.references_held)) == (2, {"p": 2, "q": 1})
    store.close()
    again = LmdbStore(tmp_path / "cache", KEY.derive)
    assert (again.faces, dict(again.references_held)) == (2, {"p": 2, "q": 1})
    again.close()


def test_what_came_is_nowhere_at_rest_and_compares_as_it_did(store):
    store.apply([PutReference(reference(n)) for n in range(50)], 1, {})
    for n in range(50):
        held = store.reference(holder(n), "p")
        row = np.frombuffer(held.template, np.int8)
        assert abs(compare_templates(row, template(n))) < 0.5
        probe = store.protect_probe(probe_of(n + 1), held)
        assert score(held, probe) == pytest.approx(
            compare_templates(template(n), template(n + 1)), abs=1e-4)


def test_a_renewal_changes_every_row_and_no_score(store, tmp_path):
    store.apply([PutReference(reference(n, pack)) for n in range(5_000) for pack in "pq"], 1, {})
    before = {n: store.reference(holder(n), "q") for n in range(40)}
    first = store.generation
    seen = []
    for _ in range(10):
        assert store.renew_references(lambda done, total, _: seen.append((done, total))) == 10_000
    assert seen[-1] == (10_000, 10_000)
    assert store.generation == first + 10
    store.close()
    again = LmdbStore(tmp_path / "cache", KEY.derive)
    for n, old in before.items():
        new = again.reference(holder(n), "q")
        assert new.generation == first + 10
        rows = [np.frombuffer(item.template, np.int8) for item in (old, new)]
        assert abs(compare_templates(*rows)) < 0.5
        for other in (n, n + 1):
            probe = again.protect_probe(probe_of(other, "q"), new)
            assert abs(score(new, probe)
                       - compare_templates(template(n), template(other))) <= 0.002
    again.close()


def test_a_probe_of_another_generation_is_an_error_not_a_score(store):
    store.apply([PutReference(reference(1))], 1, {})
    old = store.reference(holder(1), "p")
    store.renew_references(lambda *_: None)
    with pytest.raises(StoreError, match="renewed"):
        store.protect_probe(probe_of(1), old)


def test_a_store_from_before_the_rotation_is_protected_when_it_is_opened(store, tmp_path):
    store.apply([PutReference(reference(1))], 1, {})
    references = store._references
    key = references._key(holder(1), "p")
    plain = msgspec.msgpack.encode(reference(1))

    def undo(txn):
        tables = references._env.tables
        txn.put(key, references._seal.seal(key, plain), db=tables[b"references"])
        txn.delete(b"references.site", db=tables[b"meta"])

    references._env.write(undo)
    store.close()
    again = LmdbStore(tmp_path / "cache", KEY.derive)
    held = again.reference(holder(1), "p")
    assert held.generation == again.generation == 1
    assert score(held, again.protect_probe(probe_of(1), held)) == pytest.approx(1.0, abs=1e-4)
    again.close()


VICTIM = """
import sys
from pathlib import Path
from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
store = LmdbStore(Path(sys.argv[1]), NodeKey(bytes([7] * 32)).derive)
print("begun", flush=True)
while True:
    store.renew_references(lambda *_: None)
    print("renewed", flush=True)
"""


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.21, 0.48])
def test_a_kill_leaves_one_generation_that_compares(tmp_path, pause_s):
    store = LmdbStore(tmp_path / "cache", KEY.derive)
    store.apply([PutReference(reference(n)) for n in range(9_000)], 1, {})
    store.close()
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(tmp_path / "cache")], stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    victim.stdout.readline()
    time.sleep(pause_s)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    again = LmdbStore(tmp_path / "cache", KEY.derive)
    records = dict(again.references("p"))
    assert len(records) == 9_000
    assert {record.generation for record in records.values()} == {again.generation}
    for n in range(0, 9_000, 500):
        held = records[holder(n)]
        assert score(held, again.protect_probe(probe_of(n), held)) == pytest.approx(1, abs=1e-4)
    again.close()


def probe_of(n, pack="p"):
    return Probe(pack=pack, template=template(n), quality=1.0, components={})


def score(held, probe):
    fine = np.frombuffer(held.fine, np.int8)
    return compare_templates(
        whole(np.frombuffer(held.template, np.int8), fine), whole(probe.template, probe.fine))


def test_a_store_belongs_to_one_process(store, tmp_path):
    with pytest.raises(StoreError, match=r"in use.*stop the node"):
        LmdbStore(tmp_path / "cache", KEY.derive)
    store.close()
    LmdbStore(tmp_path / "cache", KEY.derive).close()
