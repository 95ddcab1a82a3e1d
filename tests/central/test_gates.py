"""A gate's rate: said at the platform, by interface or page, and signed through the feed."""

import asyncio
import re
import time

import msgspec
import pytest

from edge.protocol.records import GateRecord
from kanhe.central_calls import ADMIN, NOUNS
from kanhe.cli import main
from tests.central.desk import desk_of
from tests.central.site import Site
from tests.central.test_fleet import signed_in

GATE = {"label": "door", "scenes": ["hotel.checkin"]}


async def registered(desk, **differently):
    status, said = await desk.call("POST", "/v1/gates", {**GATE, **differently})
    assert status == 201, said
    return said["gate_id"]


async def rates(desk):
    shown = (await desk.call("GET", "/v1/gates"))[1]["gates"]
    return {gate["label"]: gate["rate_per_s"] for gate in shown}


async def test_a_rate_said_at_the_platform_reaches_the_node_and_can_be_taken_back(tmp_path):
    async with desk_of(tmp_path) as desk:
        site = Site(desk.url, now=time.time)
        await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        slow, plain = await registered(desk, rate_per_s=5), await registered(desk)
        await site.start()
        await site.until(lambda: site.trust is not None and plain in site.trust.gates)
        assert site.trust.gates[slow].rate_per_s == 5.0
        assert site.trust.gates[plain].rate_per_s is None
        for said in (0.5, None):
            status, _ = await desk.call("PUT", f"/v1/gates/{slow}/rate", {"rate_per_s": said})
            assert status == 200
            await site.until(lambda said=said: site.trust.gates[slow].rate_per_s == said)
        # The secret and the scenes are what they were.
        assert site.trust.gates[slow].scenes == ("hotel.checkin",)
        assert len(site.trust.gates[slow].secret_hash) == 32
        await site.stop()


@pytest.mark.parametrize("wrong", [{"rate_per_s": 0}, {"rate_per_s": -1}, {"rate_per_s": 1e9},
                                   {"rate_per_s": "fast"}, {}, {"rate": 5}])
async def test_a_rate_that_is_none_is_refused(desk, wrong):
    gate = await registered(desk)
    status, _ = await desk.call("PUT", f"/v1/gates/{gate}/rate", wrong)
    assert status == 422
    assert await rates(desk) == {"door": None}


async def test_a_rate_of_no_gate_or_a_revoked_one_is_refused(desk):
    assert (await desk.call("PUT", "/v1/gates/none/rate", {"rate_per_s": 5}))[0] == 404
    gate = await registered(desk)
    await desk.call("DELETE", f"/v1/gates/{gate}?reason=stolen")
    status, said = await desk.call("PUT", f"/v1/gates/{gate}/rate", {"rate_per_s": 5})
    assert (status, "revoked" in said["detail"]) == (422, True)


async def test_the_command_line_says_a_gates_rate_and_takes_it_back(desk, tmp_path, capsys):
    (tmp_path / "token").write_text(desk.token)

    async def kanhe(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, [
            "central", "gate", *words, "--url", desk.url, "--token-file", str(tmp_path / "token")])
        return code, capsys.readouterr().err

    assert await kanhe("add", "--label", "door", "--scenes", "hotel.checkin", "--rate", "5") == (
        0, "")
    assert await rates(desk) == {"door": 5.0}
    gate = (await desk.call("GET", "/v1/gates"))[1]["gates"][0]["gate_id"]
    for said, then in (("0.5", 0.5), ("node", None), ("50", 50.0)):
        assert (await kanhe("rate", gate, said))[0] == 0
        assert await rates(desk) == {"door": then}
    for wrong in ("fast", "0"):
        code, words = await kanhe("rate", gate, wrong)
        assert (code, "Traceback" in words) == (1, False)
        assert "rate" in words
    assert await rates(desk) == {"door": 50.0}


@pytest.mark.parametrize("noun", sorted(NOUNS))
def test_every_verb_of_an_administrator_says_what_it_does(noun, capsys):
    with pytest.raises(SystemExit):
        main(["central", noun, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for row in ADMIN:
        if row.noun == noun:
            assert f" {row.verb} {row.words}" in shown


def test_a_gate_of_an_older_feed_has_the_nodes_rate():
    older = msgspec.msgpack.encode({
        "gate_id": "g1", "secret_hash": bytes(32), "scenes": ["a"], "node_id": "", "label": "",
        "revoked": False})
    assert msgspec.msgpack.decode(older, type=GateRecord).rate_per_s is None


def test_an_older_node_reads_a_gate_with_a_rate():
    class OlderGate(msgspec.Struct, frozen=True, kw_only=True):
        gate_id: str
        secret_hash: bytes
        scenes: tuple[str, ...]
        node_id: str = ""
        label: str = ""
        revoked: bool = False

    newer = GateRecord(gate_id="g1", secret_hash=bytes(32), scenes=("a",), rate_per_s=5.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(newer), type=OlderGate).gate_id == "g1"


async def test_an_administrator_registers_a_gate_and_sets_its_rate_by_page(desk):
    async with signed_in(desk) as look:
        _, page = await look("/gates")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]

        async def send(path, **fields):
            async with desk.session.post(
                    desk.url + path, data={"csrf": csrf, **fields},
                    headers={"Origin": desk.url, "Accept-Language": "en"}) as response:
                return response.status, await response.text()

        # Field names are those of the page's own form.
        form = page[page.index('<form class="card"'):]
        assert {"label", "node_id", "scenes", "rate_per_s"} <= set(
            re.findall(r'name="(\w+)"', form))
        status, shown = await send(
            "/gates", label="north", node_id="", scenes="hotel.checkin", rate_per_s="20")
        assert status == 200, shown
        assert await rates(desk) == {"north": 20.0}
        _, page = await look("/gates")
        assert "at most 20" in page
        path = re.search(r'action="(/gates/\w+/rate)"', page)[1]
        assert (await send(path, rate_per_s="many"))[0] == 422
        assert (await send(path, rate_per_s=" 2.5 "))[0] == 200
        assert await rates(desk) == {"north": 2.5}
        assert (await send(path, rate_per_s=""))[0] == 200
        assert await rates(desk) == {"north": None}
        _, acts = await look("/acts")
        assert "gate.rate" in acts
        assert "2.5 calls a second" in acts


async def test_a_supervisor_sees_rates_and_sets_none(desk):
    gate = await registered(desk, rate_per_s=7)
    async with signed_in(desk, "sun", "supervisor") as look:
        status, page = await look("/gates")
        assert (status, "at most 7" in page) == (200, True)
        assert f"/gates/{gate}/rate" not in page
        async with desk.session.post(
                f"{desk.url}/gates/{gate}/rate", data={"rate_per_s": "9"},
                headers={"Origin": desk.url}) as response:
            assert response.status == 403
    assert await rates(desk) == {"door": 7.0}
