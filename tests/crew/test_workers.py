"""A node of three real processes: one port, one store, one guard, one journal."""

import asyncio
import contextlib
import json
import time
from collections import Counter

import aiohttp

from edge.access.tls import client_context
from edge.audit.verify import verify_journal
from edge.crew.lines import BEAT_S
from edge.protocol.kh1 import step_at
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.crew.site import PROCESSES, SCENE, Gate, Site, owner_of
from tests.fakes.waiting import until
from tests.torture.__main__ import requests_recorded

SHOWN_MIN, STEPS_MAX = 1_000, 12
"""A quick machine shows so many codes in four steps; a slow one may take more."""


def verdicts(calls):
    assert [status for status, _, _ in calls] == [200] * len(calls), calls
    return sorted(json.loads(body)["reason"] for _, _, body in calls)


async def test_a_presentation_sent_to_all_processes_at_once_is_accepted_once(site):
    gates = list((await site.gate_at_each()).values())
    met = Counter()
    shown = 0
    for _ in range(STEPS_MAX):
        if shown > SHOWN_MIN:
            break
        step = await site.fresh_step()
        for wallet in site.crowd:
            if step_at(time.time()) > step:
                break
            code = wallet.code(step)
            met[tuple(verdicts(await asyncio.gather(
                *(gate.show(code) for gate in gates))))] += 1
            shown += 1
        # Nobody has another code before the next step.
        while step_at(time.time()) == step:
            await asyncio.sleep(0.05)
    assert shown > SHOWN_MIN
    assert met == {("ok", "presentation_replayed", "presentation_replayed"): shown}
    site.node.stop()
    report = verify_journal(site.folder / "edge" / "journal")
    assert report.whole, report.problems
    digests = requests_recorded(site.folder / "edge" / "journal")
    assert len(digests) == len(set(digests))


async def test_a_request_gets_one_answer_from_whichever_process_it_asks(site):
    gates = list((await site.gate_at_each()).values())
    step = await site.fresh_step()
    for number, wallet in enumerate(site.crowd[:100]):
        code = wallet.code(step)
        calls = await asyncio.gather(*(gate.show(code, f"same{number}") for gate in gates))
        assert len({body for _, _, body in calls}) == 1
        assert json.loads(calls[0][2])["decision"] == "accept"
        # Also later, and from the others.
        for gate in gates:
            assert (await gate.show(code, f"same{number}"))[2] == calls[0][2]


async def test_a_request_with_another_content_is_a_conflict_and_spends_nothing(site):
    gates = list((await site.gate_at_each()).values())
    step = await site.fresh_step()
    for number, wallet in enumerate(site.crowd[200:220]):
        first, other = wallet.code(step), site.crowd[400 + number].code(step)
        assert json.loads((await gates[0].show(first, f"taken{number}"))[2])["reason"] == "ok"
        for gate in gates:
            status, _, body = await gate.show(other, f"taken{number}")
            assert status == 409, body
        assert json.loads((await gates[number % 3].show(other))[2])["reason"] == "ok"


async def test_a_revocation_holds_at_all_processes(site):
    gates = list((await site.gate_at_each()).values())
    for number in range(5):
        await site.admin("POST", f"/v1/credentials/{site.ids[number]}/status",
                         {"status": "revoked", "reason": "a test"})

        async def refused(gate, number=number):
            code = site.crowd[number].code(step_at(time.time()))
            return json.loads((await gate.show(code))[2])["reason"] == "credential_revoked"

        await until(lambda refused=refused, gate=gates[number % 3]: refused(gate))
        # What one process knows, all know: they read the same store.
        assert all([await refused(gate) for gate in gates])


async def test_metrics_and_the_shift_show_what_all_processes_did(site):
    gates = await site.gate_at_each()
    step = await site.fresh_step()
    for wallet in site.crowd[:90]:
        calls = await asyncio.gather(*(gate.show(wallet.code(step)) for gate in gates.values()))
        verdicts(calls)
    for gate in gates.values():
        assert (await gate.show("KH1:BB8", scene="no.such"))[0] == 404
    assert [await gate.call("GET", "/livez") for gate in gates.values()]
    await until_counted(site, accept=90, reject=180 + site.probes, **{"404": 3})
    for gate in gates.values():
        status, _, body = await gate.call("GET", "/v1/verifications?limit=100")
        assert status == 200
        assert len(json.loads(body)["verifications"]) == 100


async def until_counted(site, **wanted: int) -> None:
    """Wait until the node has counted so many, and no more: workers tell it by and by."""
    found: Counter[str] = Counter()

    async def counted():
        nonlocal found
        found = await counts(site)
        return all(found[name] >= count for name, count in wanted.items())

    with contextlib.suppress(TimeoutError):
        await until(counted)
    await asyncio.sleep(BEAT_S)
    await counted()
    assert {name: found[name] for name in wanted} == wanted


async def counts(site) -> Counter[str]:
    """Read `/metrics` by a new connection, wherever it goes."""
    async with (aiohttp.ClientSession() as session,
                session.get(site.node_url + "/metrics") as response):
        text = await response.text()
    found = Counter()
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("kanhe_verifications_total"):
            found[name.partition('decision="')[2].partition('"')[0]] += int(float(value))
        if name.startswith("kanhe_http_problems_total"):
            found[name.partition('status="')[2].partition('"')[0]] += int(float(value))
        if name.startswith("kanhe_gate_refused_total"):
            found["refused " + name.partition('gate="')[2].partition('"')[0]] = int(float(value))
    return found


async def test_faces_pages_and_odd_bodies_are_answered_whichever_process_is_asked(site):
    await site.found()
    gates = await site.gate_at_each(site.gate_credential)
    for person, gate in zip(PEOPLE, gates.values(), strict=False):
        async def referred(person=person, gate=gate):
            code = site.wallets[person.key].code("resident_id", step_at(time.time()))
            return (json.loads((await gate.show(code, scene="hotel.checkin"))[2]).get("reason")
                    == "face_absent")

        await until(referred)
        assert (await gate.show("KH1:BB8", more=', "face_image": "!!"'))[0] == 422
        assert (await gate.show("KH1:BB8", more=', "unknown": 1'))[0] == 422
        status, headers, _ = await gate.call("GET", "/signin")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    gates = await site.gate_at_each(site.gate_credential)
    person = PEOPLE[0]
    boundary = "b" * 40
    face = face_frame(load_portrait(person), seed=3)
    for gate in gates.values():
        code = site.wallets[person.key].code("driving_licence", step_at(time.time()))
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
            + data + b"\r\n"
            for name, more, data in (
                ("scene", "", b"police.roadside"), ("presentation", "", code.encode()),
                ("request_id", "", f"face{gate.client_port}".encode()),
                ("face_image", '; filename="f.jpg"', face)))
        body += f"--{boundary}--\r\n".encode()
        assert len(body) > 20_000
        status, _, answer = await gate.call(
            "POST", "/v1/verifications", body, f"multipart/form-data; boundary={boundary}")
        assert status == 200, answer
        assert json.loads(answer)["reason"] in {"ok", "presentation_replayed", "no_match"}


async def test_the_rate_of_a_gate_holds_over_all_processes(tmp_path, face_pack_dir):
    site = Site(tmp_path, face_pack_dir.parent)
    site.extra = "[limits]\ngate_rate_per_s = 0.5\ngate_burst = 40\n"
    try:
        await site.begin(PROCESSES, 60)
        gates = list((await site.gate_at_each(site.gates[1])).values())
        credential = site.gates[2]
        calls = []
        for gate in gates:
            gate._credential = credential
        # More than the burst at each of them, so that each refuses some by itself, too.
        for _ in range(60):
            calls += await asyncio.gather(*(gate.show("KH1:BB8") for gate in gates))
        statuses = Counter(status for status, _, _ in calls)
        assert 40 <= statuses[200] <= 60, statuses
        assert statuses[200] + statuses[429] == 180
        await until_counted(
            site, **{f"refused {credential.partition('.')[0]}": statuses[429]})
        limited = next(headers for status, headers, _ in calls if status == 429)
        assert int(limited["retry-after"]) >= 1
    finally:
        site.stop()


async def test_a_scene_is_one_more_thing_all_processes_learn_of(site):
    """A gate that is made while the node runs may speak at every process; a revoked one at none."""
    made = await site.admin("POST", "/v1/gates", {"label": "late", "scenes": [SCENE]})
    gates = await site.gate_at_each()

    async def known():
        calls = [await gate.call("POST", "/v1/verifications", json.dumps({
            "scene": SCENE, "presentation": "KH1:BB8", "request_id": f"k{time.monotonic_ns()}"}
        ).encode(), credential=made["credential"]) for gate in gates.values()]
        return {status for status, _, _ in calls}

    async def all_know():
        return await known() == {200}

    await until(all_know)
    await site.admin("DELETE", f"/v1/gates/{made['gate_id']}")

    async def none_knows():
        return await known() == {401}

    await until(none_knows)


async def test_workers_serve_with_the_keepers_certificate_and_pass_on_what_came_by_it(site):
    port = site.node_url.rpartition(":")[2]
    site.node.stop()
    config = site.folder / "edge.toml"
    config.write_text(config.read_text() + '[tls]\nmode = "local"\n')
    site.run_node()
    context = client_context(site._authority("edge"))
    url = f"https://127.0.0.1:{port}"

    async def serving():
        gate = await Gate(url, site.gate_credential, context).open()
        found = json.loads((await gate.call("GET", "/v1/status"))[2])["processes"]["serving"]
        gate.close()
        return found == PROCESSES

    await until(serving)
    met, gates = {}, []
    pids = site.pids
    for _ in range(100):
        gate = await Gate(url, site.gate_credential, context).open()
        gates.append(gate)
        assert (await gate.show("KH1:BB8"))[0] == 200
        met.setdefault(owner_of(gate.client_port, gate.port, pids), gate)
        if len(met) == PROCESSES:
            break
    assert set(met) == set(pids)
    step = await site.fresh_step()
    for wallet in site.crowd[:20]:
        code = wallet.code(step)
        assert verdicts(await asyncio.gather(*(gate.show(code) for gate in met.values()))) == [
            "ok", "presentation_replayed", "presentation_replayed"]
    for gate in met.values():
        status, _, body = await gate.call("GET", "/authority")
        assert status == 200
        # The page tells where it is: by TLS, though it came in clear from the worker.
        assert b"https://gate/authority" in body
