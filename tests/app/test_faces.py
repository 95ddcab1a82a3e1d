"""Faces counted for the rule of 100,000, the change of pack, and the command that renews."""

import asyncio
import json
import logging

import pytest

from edge.cache.store import LmdbStore
from edge.faces import FILING_FROM, FaceWatch, judge_faces, pack_change, pack_to_serve
from edge.node_key import load_or_create_node_key
from edge.protocol.feed import PutReference
from edge.protocol.records import ReferenceRecord
from kanhe.cli import main


@pytest.mark.parametrize("held,state", [
    (0, "ok"), (FILING_FROM * 9 // 10 - 1, "ok"), (FILING_FROM * 9 // 10, "near"),
    (FILING_FROM - 1, "near"), (FILING_FROM, "due"), (FILING_FROM + 1, "due")])
def test_faces_are_held_against_the_rule(held, state):
    assert judge_faces(held).state == state


async def test_the_warning_comes_once_a_rise_in_log_and_journal(caplog):
    noted, held = [], [0]

    async def note(event, detail):
        noted.append((event, detail["held"]))

    watch = FaceWatch(lambda: held[0], note)
    with caplog.at_level(logging.WARNING):
        for held[0] in (5, 90_000, 95_000, 80_000, 90_001, 100_000, 100_001):
            watch.look()
            await asyncio.sleep(0)
    assert noted == [("faces.near", 90_000), ("faces.due", 100_000)]
    assert [record.message.split()[0] for record in caplog.records] == ["faces.near", "faces.due"]


@pytest.mark.parametrize("previous,new,old,served", [
    ("old", 0, 10, "old"), ("old", 9, 10, "old"), ("old", 10, 10, "new"), ("old", 11, 10, "new"),
    ("old", 0, 0, "new"), ("", 0, 10, "new")])
def test_the_previous_pack_serves_until_the_new_one_is_complete(previous, new, old, served):
    assert pack_to_serve("new", previous, {"new": new, "old": old}) == served


def test_how_a_change_of_pack_goes_is_said():
    assert pack_change("new", "new", {}) == ""
    assert "3 of 10" in pack_change("old", "new", {"new": 3, "old": 10})
    assert "restart" in pack_change("old", "new", {"new": 10, "old": 10})


def test_one_command_renews_all_references(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.setenv("KANHE_EDGE__DATA_DIR", str(tmp_path))
    assert main(["edge", "renew-references"]) == 1
    assert b"no node's data folder" in capsysbinary.readouterr().err
    key = load_or_create_node_key(tmp_path / "node.key")
    store = LmdbStore(tmp_path / "cache", key.derive)
    store.apply([
        PutReference(ReferenceRecord(
            holder_id=n.to_bytes(16, "big"), pack="p", template=bytes(range(100)), created_s=1))
        for n in range(3)], 1, {})
    assert main(["edge", "renew-references"]) == 1
    assert b"stop the node" in capsysbinary.readouterr().err
    store.close()
    assert main(["edge", "renew-references"]) == 0
    line = json.loads(capsysbinary.readouterr().out)
    assert line == {"event": "references_renewed", "references": 3, "generation": 2}
