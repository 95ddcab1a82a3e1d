"""`kanhe policy dry-run` on a node's journal folder, and what it refuses."""

import json

import msgspec
import pytest

from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.segment import segment_name
from edge.audit.segments import segment_firsts
from edge.hotpath.dryrun import EXAMPLES_MAX, DryRun
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord, FaceEvidence, encode_record
from edge.protocol.records import ScenePolicy, Words
from kanhe.cli import main
from tests.fakes.records import EVIDENCE, answer

POLICY = ScenePolicy(
    scene="hotel.checkin", version=1, title=Words("", ""), accepts=("resident_id",))
FACE = FaceEvidence(score=0.93, threshold=0.9, fmr=0.001, model="m", pad="passed",
                    pad_checks=("passive",))
AT_S = 1_800_000_000
CODE = msgspec.structs.replace(POLICY, face="off")


def shown(number, reason="ok", *, at_s=None, **differently):
    at_s = AT_S + 5 * number if at_s is None else at_s
    return answer(reason, **{
        "at_ms": at_s * 1000, "step": at_s // 5, "face": FACE,
        "credential_id": number.to_bytes(16, "big"), **differently})


async def journal(folder, records):
    written = FileJournal(folder, NodeKey(bytes([9] * 32)).signing,
                          JournalOptions(segment_bytes=4_000))
    for record in records:
        await written.append(record)
    written.close()
    return folder


def policies(tmp_path, *items, name="new.json"):
    path = tmp_path / name
    path.write_bytes(msgspec.json.encode(list(items)))
    return str(path)


def lines(capsysbinary):
    return [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


async def test_a_journal_of_several_segments_is_judged_anew(tmp_path, capsysbinary):
    folder = await journal(tmp_path / "j", [
        EventRecord(at_ms=AT_S * 1000, event="node.started", detail={}),
        *[shown(number) for number in range(60)], shown(99, scene="elsewhere.at")])
    assert len(segment_firsts(folder)) > 3
    new = msgspec.structs.replace(POLICY, version=2, accepts=("health_card",))
    assert main(["policy", "dry-run", "--policies", policies(tmp_path, new),
                 "--journal", str(folder), "--packs", str(tmp_path)]) == 0
    scene, whole = lines(capsysbinary)
    [change] = scene["changed"]
    assert (change["reason"], change["new_reason"], change["count"]) == (
        "ok", "credential_not_accepted_here", 60)
    assert len(change["examples"]) == EXAMPLES_MAX
    assert (whole["answers"], whole["other"], whole["events"]) == (60, 1, 1)


async def test_with_the_policies_of_that_time_more_is_known(tmp_path, capsysbinary):
    folder = await journal(tmp_path / "j", [shown(number) for number in range(3)])
    new = msgspec.structs.replace(POLICY, version=2, reference_age_max_days=None, fmr_max=2e-3)
    command = ["policy", "dry-run", "--policies", policies(tmp_path, new),
               "--journal", str(folder), "--packs", str(tmp_path)]
    assert main(command) == 0
    assert lines(capsysbinary)[-1]["unknown"] == 3
    same = msgspec.structs.replace(POLICY, version=1, fmr_max=2e-3)
    assert main([*command, "--before", policies(tmp_path, same, name="old.json")]) == 0
    assert lines(capsysbinary)[-1]["same"] == 3


async def test_damage_before_the_end_is_an_error_and_a_torn_end_is_not(tmp_path, capsys):
    folder = await journal(tmp_path / "j", [shown(number) for number in range(60)])
    command = ["policy", "dry-run", "--policies", policies(tmp_path, CODE),
               "--journal", str(folder), "--packs", str(tmp_path)]
    first, last = segment_firsts(folder)[0], segment_firsts(folder)[-1]
    torn = folder / segment_name(last)
    torn.write_bytes(torn.read_bytes() + b"\0\0\1")
    assert main(command) == 0
    broken = folder / segment_name(first)
    data = bytearray(broken.read_bytes())
    data[100] ^= 1
    broken.write_bytes(bytes(data))
    assert main(command) == 1
    assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "said"), [
    (b"[]", "no policy"), (b"{", "isn't of policies"), (b'[{"scene": 1}]', "isn't of policies"),
    (b'{"policies": 3}', "isn't of policies"), (b'[{"strange": 1}]', "no strange"),
    (b"\xff", "isn't of policies"), (b"3", "isn't of policies")])
def test_a_file_that_isnt_of_policies_is_refused_in_words(tmp_path, capsys, content, said):
    (tmp_path / "p.json").write_bytes(content)
    assert main(["policy", "dry-run", "--policies", str(tmp_path / "p.json"),
                 "--journal", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("more", [
    ["--journal", "nowhere"], ["--journal", "nowhere", "--since", "tomorrow"],
    ["--central", "--before", "x.json"], ["--journal", "nowhere", "--config", "x.toml"]])
def test_wrong_use_is_one_sentence(tmp_path, capsys, more):
    assert main(["policy", "dry-run", "--policies", policies(tmp_path, POLICY), *more]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def judged(policy, *records, before=CODE):
    dry = DryRun({policy.scene: policy}, lambda _, __: before, {})
    return [dry.add("log", record) for record in records]


def test_what_would_have_been_accepted_first_makes_the_next_showing_a_replay():
    refused = {"reason": "credential_not_accepted_here", "face": None,
               "credential_type": "health_card"}
    new = msgspec.structs.replace(CODE, accepts=("health_card",))
    first, second = judged(new, shown(1, **refused), shown(1, at_s=AT_S + 5, **refused))
    assert (first.reason, second.reason) == ("ok", "presentation_replayed")


def test_what_would_not_have_been_spent_leaves_a_replay_open():
    new = msgspec.structs.replace(CODE, accepts=("health_card",))
    first, other = judged(new, shown(1, face=None), shown(
        1, "presentation_replayed", at_s=AT_S + 5, face=None, credential_type="health_card"))
    assert first.reason == "credential_not_accepted_here"
    assert other == "replay"


def test_what_follows_another_answer_cannot_be_known():
    open_ = shown(1, "face_absent", decision="retry", face=None)
    then = shown(1, kind="capture", verification_id=open_.verification_id)
    decided = shown(1, "operator_accepted", decision="accept", kind="decision",
                    verification_id=open_.verification_id)
    assert [found.reason if hasattr(found, "reason") else found.value for found in judged(
        CODE, open_, then, decided, before=POLICY)] == ["ok", "earlier", "earlier"]


def test_a_person_cannot_outvote_a_policy():
    decided = shown(1, "operator_accepted", decision="accept", kind="decision")
    strict = msgspec.structs.replace(POLICY, accepts=("health_card",))
    [found] = judged(strict, decided, before=POLICY)
    assert found.reason == "credential_not_accepted_here"


def identified(**differently):
    face = msgspec.structs.replace(FACE, gallery=1_000, margin=0.05)
    return shown(1, kind="identification", suite=None, step=None, face=face, **differently)


def test_an_identification_is_judged_by_its_margin_and_its_credential():
    before = msgspec.structs.replace(POLICY, identification="allowed")
    for change, expected in (
            ({}, "ok"), ({"identification_margin": 0.2}, "nobody"),
            ({"identification": "off"}, "shown"), ({"fpir_max": 0.5}, "threshold"),
            ({"accepts": ("health_card",)}, "credential")):
        [found] = judged(msgspec.structs.replace(before, **change), identified(), before=before)
        assert getattr(found, "reason", found) == expected, change


def test_the_records_of_newer_nodes_are_passed_over():
    dry = DryRun({POLICY.scene: POLICY}, lambda _, __: POLICY, {})
    strange = encode_record(shown(1, "of_tomorrow"))
    report = dry.run([("log", b"\xc1"), ("log", strange), ("log", encode_record(shown(2)))])
    assert (report.answers, report.other) == (1, 2)


def test_an_untrusted_clock_tells_nothing_under_any_policy():
    evidence = msgspec.structs.replace(EVIDENCE, clock="untrusted")
    [found] = judged(POLICY, shown(1, evidence=evidence))
    assert found.reason == "clock_untrusted"
