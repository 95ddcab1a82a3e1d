"""Receipts: proved from a folder, checked by three verifiers alike, spoiled ones refused."""

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.prove import prove_record
from edge.errors import JournalError
from edge.hotpath.checkpoint import countersign
from edge.hotpath.receipt import ReceiptFile, check_receipt
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord
from kanhe.cli import main

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "docs" / "verifier" / "verify_receipt.py"
KEY = NodeKey(bytes([7] * 32))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([8] * 32))
SMALL = JournalOptions(segment_bytes=600, checkpoint_records=7)


def public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def write(folder, numbers, *, sign=True, options=SMALL):
    async def run():
        journal = FileJournal(folder, KEY.signing, options)
        try:
            return [await journal.append(EventRecord(at_ms=n, event="test", detail={"n": n}))
                    for n in numbers]
        finally:
            journal.close()

    receipts = asyncio.run(run())
    if sign:
        journal = FileJournal(folder, KEY.signing, options)
        journal.acknowledge(journal.size)
        while (point := journal.uncountersigned()) is not None:
            journal.keep_countersignature(point, countersign(point, 5, WITNESS))
        journal.close()
    return receipts


@pytest.fixture
def receipts(tmp_path):
    return write(tmp_path, range(40))


def stand_alone(data: bytes, *more: str) -> int:
    return subprocess.run([sys.executable, str(VERIFIER), "-", *more], input=data,
                          capture_output=True, check=False).returncode


def test_every_record_is_proved_under_the_counter_signed_checkpoint(tmp_path, receipts):
    for receipt in receipts:
        proof = prove_record(tmp_path, receipt.index)
        assert (proof.log, proof.leaf) == (receipt.log, receipt.leaf)
        assert proof.record is None
        assert proof.countersignature is not None
        assert not check_receipt(proof, key=public(KEY.signing), witness=public(WITNESS))


def test_what_the_platform_has_not_signed_is_proved_by_the_nodes_checkpoint(tmp_path):
    write(tmp_path, range(10))
    write(tmp_path, range(10, 20), sign=False)
    proof = prove_record(tmp_path, 15, with_record=True)
    assert proof.countersignature is None
    assert not check_receipt(proof, key=public(KEY.signing))
    assert check_receipt(proof, witness=public(WITNESS)) == [
        "the central platform hasn't counter-signed the checkpoint"]


def test_records_behind_the_oldest_kept_segment_are_still_proved(tmp_path):
    receipts = write(tmp_path, range(40))
    options = JournalOptions(segment_bytes=600, checkpoint_records=7, retire_age_s=0)
    journal = FileJournal(tmp_path, KEY.signing, options, now=lambda: 2**40)
    journal.acknowledge(20)
    journal.close()
    first = min(int(path.stem) for path in tmp_path.glob("*.journal"))
    assert first > 0
    for receipt in receipts[first:]:
        assert not check_receipt(prove_record(tmp_path, receipt.index))
    with pytest.raises(JournalError, match="any more"):
        prove_record(tmp_path, first - 1)


def test_a_record_that_no_checkpoint_covers_is_said_so(tmp_path):
    async def run():
        journal = FileJournal(tmp_path, KEY.signing, JournalOptions(checkpoint_records=2))
        for number in range(3):
            await journal.append(EventRecord(at_ms=number, event="test", detail={}))
        try:
            with pytest.raises(JournalError, match="no checkpoint covers record 2"):
                prove_record(tmp_path, 2)
            return prove_record(tmp_path, 0)
        finally:
            journal.close()

    assert not check_receipt(asyncio.run(run()))


def spoiled(proof: ReceiptFile):
    """Every way in which a receipt file can lie."""
    plain = json.loads(msgspec.json.encode(proof))
    head, said = plain["checkpoint"], plain["countersignature"]

    def differently(**more):
        return {**plain, **more}

    yield "index", differently(index=plain["index"] ^ 1)
    yield "leaf", differently(leaf="00" * 32)
    yield "log", differently(log="00" * 16)
    yield "record", differently(record=base64.b64encode(b"another").decode())
    yield "no proof", differently(proof=[])
    yield "longer proof", differently(proof=[*plain["proof"], "00" * 32])
    yield "shorter proof", differently(proof=plain["proof"][:-1])
    yield "changed proof", differently(proof=["00" * 32, *plain["proof"][1:]])
    yield "size", differently(checkpoint={**head, "size": head["size"] + 1})
    yield "root", differently(checkpoint={**head, "root": "00" * 32})
    yield "time", differently(checkpoint={**head, "at_ms": head["at_ms"] + 1})
    yield "signature", differently(checkpoint={**head, "signature": "00" * 64})
    yield "node's key", differently(checkpoint={**head, "public": public(STRANGER)})
    yield "witness's time", differently(countersignature={**said, "at_ms": said["at_ms"] + 1})
    yield "witness's size", differently(countersignature={**said, "size": said["size"] + 1})
    yield "witness's signature", differently(countersignature={**said, "signature": "00" * 64})
    yield "witness's key", differently(countersignature={**said, "public": public(STRANGER)})
    yield "node's as witness's", differently(
        countersignature={**said, "signature": head["signature"], "public": head["public"]})


def test_a_spoiled_receipt_is_refused_by_both_verifiers(tmp_path, receipts):
    proof = prove_record(tmp_path, 21, with_record=True)
    whole = msgspec.json.encode(proof)
    keys = ["--key", public(KEY.signing), "--witness", public(WITNESS)]
    assert stand_alone(whole) == 0
    assert stand_alone(whole, *keys) == 0
    for name, lie in spoiled(proof):
        data = json.dumps(lie).encode()
        assert check_receipt(msgspec.json.decode(data, type=ReceiptFile)), name
        assert stand_alone(data) == 1, name
    assert stand_alone(whole, "--key", public(STRANGER)) == 1
    assert stand_alone(whole, "--witness", public(STRANGER)) == 1
    bare = msgspec.json.encode(msgspec.structs.replace(proof, countersignature=None))
    assert stand_alone(bare) == 0
    assert stand_alone(bare, "--witness", public(WITNESS)) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"checkpoint":1}'])
def test_what_is_no_receipt_is_said_so(data, tmp_path, capsys):
    assert stand_alone(data) == 2
    path = tmp_path / "receipt.json"
    path.write_bytes(data)
    assert main(["journal", "check", str(path)]) == 1
    assert "isn't a receipt file" in capsys.readouterr().err


def test_the_command_checks_an_answers_receipt_against_the_journal(tmp_path, receipts, capsys):
    answer = tmp_path / "answer.json"
    receipt = msgspec.structs.asdict(receipts[9])
    answer.write_text(json.dumps({"decision": "accept", "receipt": receipt}))
    keys = ["--key", public(KEY.signing), "--witness", public(WITNESS)]
    assert main(["journal", "verify", str(tmp_path), "--receipt", str(answer), *keys]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["holds"]
    assert said["journal"]["countersigned_size"] == said["journal"]["size"] == 40
    proof = tmp_path / "proof.json"
    proof.write_text(json.dumps(said["proof"]))
    assert main(["journal", "check", str(proof), *keys]) == 0
    answer.write_text(json.dumps({**receipt, "leaf": receipts[10].leaf}))
    assert main(["journal", "verify", str(tmp_path), "--receipt", str(answer)]) == 1
    assert "isn't the receipt's" in capsys.readouterr().out
    answer.write_text(json.dumps({**receipt, "index": 400}))
    assert main(["journal", "verify", str(tmp_path), "--receipt", str(answer)]) == 1
    answer.write_text("{}")
    assert main(["journal", "verify", str(tmp_path), "--receipt", str(answer)]) == 1


def test_the_command_prints_a_receipt_file_that_stands_alone(tmp_path, receipts, capsys):
    assert main(["journal", "prove", str(tmp_path), "--index", "3", "--record"]) == 0
    data = capsys.readouterr().out.encode()
    assert json.loads(data)["record"]
    assert stand_alone(data, "--witness", public(WITNESS)) == 0


def test_a_journal_that_is_not_what_was_counter_signed_is_seen(tmp_path, receipts):
    other = tmp_path / "other"
    write(other, range(100, 140), sign=False)
    (other / "countersigned.json").write_bytes((tmp_path / "countersigned.json").read_bytes())
    from edge.audit.verify import verify_journal

    assert "aren't those that were signed" in verify_journal(other).problems[0]
    with pytest.raises(JournalError, match="aren't those of the checkpoint"):
        prove_record(other, 3)


def test_the_one_page_verifier_holds_the_very_script_that_the_platform_serves():
    script = (ROOT / "central" / "web" / "static" / "receipt.js").read_text()
    page = (ROOT / "docs" / "verifier" / "receipt.html").read_text()
    assert f"<script>\n{script}</script>" in page
    assert "src=" not in page
    assert "http://" not in page
    assert "https://" not in page
