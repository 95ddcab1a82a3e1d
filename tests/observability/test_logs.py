"""Logs: one JSON object a line, joined to answers by verification_id, without holder data."""

import io
import json
import logging

import pytest

from edge.logs import TEXT_CHARS_MAX, JsonFormatter
from edge.protocol.records import EpochKeys
from edge.watching import Watching
from tests.pipeline.desk import CREDENTIAL, OWNER, STEP, STRANGER, Desk


@pytest.fixture
def lines():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


async def test_every_answer_is_a_line_by_its_id_and_nothing_of_the_holder(tmp_path, lines):
    desk, notes = Desk(tmp_path), []

    async def note(event, detail):
        notes.append((event, detail))

    watching = Watching(note, lambda _: None)
    desk.seen.observed = watching.saw
    codes = [desk.code(STEP + shift) for shift in (-1, 0, 1, -30, -29)]
    for code, face in zip(codes, (OWNER, STRANGER, OWNER, OWNER, OWNER), strict=True):
        await desk.verifier.verify(desk.call("face", code=code, face=face))
    await watching.settle()
    desk.close()
    answers = [line for line in lines() if line["event"] == "answer"]
    assert len({line["verification_id"] for line in answers}) == 5
    assert {"decision", "reason", "scene", "gate_id", "ms", "at", "level"} <= set(answers[0])
    assert [event for event, _ in notes] == ["signal.late_code"]
    text = json.dumps([*lines(), notes], ensure_ascii=False)
    assert "马" not in text
    assert not [code for code in codes if code[8:] in text]
    credential = desk.credential()
    assert not [value for value in credential.fields.values() if value in text]


def test_bytes_structs_and_long_texts_are_not_spelled_out(lines):
    keys = EpochKeys(key_epoch=1, master=b"m" * 32, seal_private=b"s" * 32)
    logging.getLogger("kanhe.test").info(
        "slip", extra={"key": b"secret", "keys": {"a": object()}, "epochs": [CREDENTIAL],
                       "long": "x" * 5_000, "odd": keys.master})
    (line,) = [line for line in lines() if line["event"] == "slip"]
    assert line["key"] == "<bytes>"
    assert line["epochs"] == ["<bytes>"]
    assert line["keys"] == {"a": "<object>"}
    assert len(line["long"]) == TEXT_CHARS_MAX
