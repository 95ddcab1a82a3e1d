"""A draft of a policy, tried on the platform's own journal: by page, by call, by command."""

import itertools
import json
import re

import msgspec
import orjson
import pytest

from central import dryrun
from central.dryrun import ANSWERS_MAX
from central.schema import JournalEntry
from edge.hotpath.past import MISSING_WORDS, Missing
from edge.protocol.journal import EventRecord, FaceEvidence, encode_record
from kanhe.cli import main
from tests.central.desk import desk_of
from tests.central.test_fleet import signed_in
from tests.fakes.records import answer

SCENE = "hotel.checkin"
FACE = FaceEvidence(score=0.93, threshold=0.9, fmr=0.001, model="m", pad="passed",
                    pad_checks=("passive",))
NUMBERS = itertools.count()


async def keep(desk, records, log="0" * 32):
    """Put records into the platform's journal."""
    rows = []
    for record in records:
        answered = not isinstance(record, EventRecord)
        rows.append({
            "log": log, "index": next(NUMBERS), "leaf": bytes(32), "record": encode_record(record),
            "taken_s": 1, "at_ms": record.at_ms, "gate_id": "g",
            "decision": record.decision if answered else "", "credential_id": None,
            "reason": record.reason if answered else "e", "scene": record.scene if answered else "",
            "verification_id": record.verification_id if answered else ""})
    await desk.platform.database.run(
        lambda tx: tx.session.execute(JournalEntry.__table__.insert(), rows), "test")


def shown(number, reason="ok", **differently):
    """An answer to a code of its own."""
    at_s = 1_800_000_000 + 5 * number
    return answer(reason, **{
        "at_ms": at_s * 1000, "step": at_s // 5, "credential_id": number.to_bytes(16, "big"),
        "face": FACE, **differently})


@pytest.fixture
async def city(desk):
    await keep(desk, [shown(number) for number in range(40)])
    await keep(desk, [shown(100, "no_match", face=msgspec.structs.replace(FACE, score=0.4))])
    await keep(desk, [shown(200, scene="office.gatehouse"),
                      EventRecord(at_ms=1, event="e", detail={})])
    return desk


async def test_a_call_judges_the_last_answers_under_a_draft(city):
    status, report = await city.call(
        "POST", f"/v1/policies/{SCENE}/dry-run", {"no_match": "refer"})
    assert status == 200
    assert (report["answers"], report["same"], report["changed"]) == (41, 40, 1)
    [scene] = report["scenes"]
    [change] = scene["changed"]
    assert (change["decision"], change["new_decision"], change["count"]) == ("reject", "refer", 1)
    assert len(change["examples"]) == 1


async def test_what_was_not_looked_at_then_is_said_to_be_unknown(city):
    _, report = await city.call(
        "POST", f"/v1/policies/{SCENE}/dry-run", {"reference_age_max_days": 30})
    [item] = [item for item in report["scenes"][0]["unknown"] if item["reason"] == "ok"]
    assert (item["missing"], item["count"]) == ("reference", 40)


async def test_a_dry_run_changes_nothing_and_takes_no_more_than_it_is_asked(city):
    before = await city.call("GET", f"/v1/policies/{SCENE}")
    _, report = await city.call(
        "POST", f"/v1/policies/{SCENE}/dry-run?answers=7", {"accepts": ["health_card"]})
    assert report["answers"] == report["changed"] == 7
    assert await city.call("GET", f"/v1/policies/{SCENE}") == before


@pytest.mark.parametrize(("path", "body", "status"), [
    (f"{SCENE}/dry-run", {"face": "perhaps"}, 422), (f"{SCENE}/dry-run", {"strange": 1}, 422),
    ("nowhere.atall/dry-run", {}, 404), (f"{SCENE}/dry-run?answers=x", {}, 422),
    (f"{SCENE}/dry-run?answers={ANSWERS_MAX + 1}", {}, 422)])
async def test_a_wrong_draft_is_refused_in_words(desk, path, body, status):
    got, said = await desk.call("POST", f"/v1/policies/{path}", body)
    assert got == status, said
    assert said["detail"]


async def test_a_dry_run_is_the_administrators(desk):
    status, _ = await desk.call("POST", f"/v1/policies/{SCENE}/dry-run", {}, token="no")
    assert status == 401


@pytest.mark.parametrize("address", [""], ids=["sqlite"])
async def test_the_page_tries_the_form_on_the_last_answers(city):
    async with signed_in(city) as look:
        _, page = await look(f"/scenes/{SCENE}")
        assert "Try on the last answers" in page
        form = dict(re.findall(r'<input[^>]*?name="([^"]+)"[^>]*?value="([^"]*)"', page))
        chosen = re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', page, re.S)
        for name, inside in chosen:
            [value] = re.findall(r'<option value="([^"]*)" selected', inside)[:1] or ["1000"]
            form[name] = value
        fields = [(name, value) for name, value in form.items()
                  if name not in ("accepts", "suites", "disclose_field", "disclose_mask")]
        fields = [item for item in fields if item[0] != "no_match"] + [
            ("no_match", "refer"), ("accepts", "resident_id"), ("suites", "1")]
        async with city.session.post(
                f"{city.url}/scenes/{SCENE}/try", data=fields,
                headers={"Origin": city.url, "Accept-Language": "en"}) as response:
            page = await response.text()
            assert response.status == 200, page
        assert "Tried on the last answers" in page
        assert re.search(r"no_match.*refer", page, re.S)
        assert "what a status list" not in page
        # The draft is still in the form, to be put in force.
        assert re.search(r'name="no_match".*?value="refer" selected', page, re.S)
        versions = await city.call("GET", f"/v1/policies/{SCENE}")
        assert versions[1]["version"] == 1


async def test_the_page_refuses_who_only_looks(city):
    async with signed_in(city, "su", "supervisor"):
        async with city.session.post(
                f"{city.url}/scenes/{SCENE}/try", data={},
                headers={"Origin": city.url}) as response:
            assert response.status == 403


async def test_the_command_walks_the_whole_archive_in_pieces(
        tmp_path, new_address, monkeypatch, capsysbinary):
    monkeypatch.setattr(dryrun, "CHUNK_ROWS", 7)
    address = new_address()
    async with desk_of(tmp_path / "data", address) as desk:
        for log in ("a" * 32, "b" * 32):
            await keep(desk, [shown(number) for number in range(30)], log)
        await keep(desk, [EventRecord(at_ms=1_800_000_000_000, event="e", detail={})])
        policy = (await desk.call("GET", f"/v1/policies/{SCENE}"))[1]
        (tmp_path / "new.json").write_bytes(orjson.dumps([policy | {"accepts": ["health_card"]}]))
    config = f'data_dir = "{tmp_path / "data"}"\n'
    if address:
        config += f'database_url = "{address}"\n'
    (tmp_path / "central.toml").write_text(config)
    command = ["policy", "dry-run", "--policies", str(tmp_path / "new.json"), "--central",
               "--config", str(tmp_path / "central.toml")]
    assert main(command) == 0
    scene, whole = map(json.loads, capsysbinary.readouterr().out.splitlines())
    assert (scene["scene"], scene["answers"], scene["changed"][0]["count"]) == (SCENE, 60, 60)
    assert (whole["changed"], whole["events"], whole["scenes"]) == (60, 1, [])
    assert main([*command, "--since", "2027-01-15T16:01:00+08:00"]) == 0
    last = json.loads(capsysbinary.readouterr().out.splitlines()[-1])
    assert last["answers"] == 2 * 18


def test_everything_that_can_be_missing_has_words():
    assert set(MISSING_WORDS) == set(Missing)
