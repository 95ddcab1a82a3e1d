"""What the platform sees of misuse: journeys that nobody makes, and what nodes signal."""

import msgspec
import pytest

from central.places import Where
from central.signals import ACTS_MAX, KMH_MAX, SLACK_S, kilometres
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord, JournalUpload, encode_record
from tests.central.desk import KEY, Desk
from tests.fakes.records import answer

NINGBO, HANGZHOU, NEXT_DOOR = Where(29.868, 121.544), Where(30.274, 120.155), Where(29.87, 121.55)
AT_MS = 1_800_000_000_000


class Site:
    """An enrolled node that stands somewhere."""

    def __init__(self, desk: Desk, token: str, log: str) -> None:
        self._desk, self._token, self._log, self._next = desk, token, log, 0

    @classmethod
    async def enrolled(cls, desk, seed: int, where: Where | None):
        key = NodeKey(bytes([seed] * 32))
        enrolled = (await desk.enrol(key=key))[1]
        shown = (await desk.call("GET", "/v1/nodes"))[1]["nodes"]
        log = next(n["journal_log"] for n in shown if n["node_id"] == enrolled["node_id"])
        if where is not None:
            path = f"/v1/nodes/{enrolled['node_id']}/place"
            assert (await desk.call("PUT", path, {"lat": where.lat, "lon": where.lon}))[0] == 200
        return cls(desk, enrolled["token"], log)

    async def ship(self, *records) -> None:
        upload = JournalUpload(
            log=self._log, first=self._next, records=tuple(map(encode_record, records)))
        status, _ = await self._desk.call(
            "POST", "/v1/journal", token=self._token, data=msgspec.msgpack.encode(upload))
        assert status == 200
        self._next += len(records)


def shown(at_s: float, credential: int = 1, **differently):
    return answer(at_ms=AT_MS + int(at_s * 1000), credential_id=bytes([credential] * 16),
                  **differently)


async def signals(desk) -> list[tuple[str, str]]:
    from sqlalchemy import select

    from central.schema import Act

    return await desk.platform.database.run(lambda tx: [
        (act.subject, act.reason) for act in tx.session.scalars(
            select(Act).where(Act.act == "signal.far_apart").order_by(Act.number))])


async def metrics(desk) -> str:
    async with desk.session.get(desk.server.make_url("/metrics")) as response:
        return await response.text()


def test_distances_are_those_of_the_map():
    assert kilometres(NINGBO, HANGZHOU) == pytest.approx(141, abs=3)
    assert kilometres(Where(0, 0), Where(0, 180)) == pytest.approx(20_015, abs=5)
    assert kilometres(NINGBO, NINGBO) == 0


async def test_one_credential_at_two_far_points_at_once_is_an_act_and_a_count(desk):
    here = await Site.enrolled(desk, 1, NINGBO)
    there = await Site.enrolled(desk, 2, HANGZHOU)
    await here.ship(shown(0), shown(0, 2))
    await there.ship(shown(60), shown(0, 3))
    ((subject, reason),) = await signals(desk)
    assert subject == (bytes([1] * 16)).hex()
    assert reason.startswith("141 km in 60 s: verifications ")
    assert 'kanhe_central_signals_total{signal="far_apart"} 1.0' in await metrics(desk)


async def test_a_node_that_was_offline_is_asked_about_its_day(desk):
    here = await Site.enrolled(desk, 1, NINGBO)
    there = await Site.enrolled(desk, 2, HANGZHOU)
    await here.ship(shown(0))
    await here.ship(shown(40_000))
    await there.ship(shown(20), shown(39_000))  # hours later, when the line is back
    assert len(await signals(desk)) == 1


@pytest.mark.parametrize("kmh,count", [(KMH_MAX * 1.02, 1), (KMH_MAX * 0.98, 0)])
async def test_the_limit_is_a_speed(desk, kmh, count):
    here = await Site.enrolled(desk, 1, NINGBO)
    there = await Site.enrolled(desk, 2, HANGZHOU)
    await here.ship(shown(0))
    await there.ship(shown(kilometres(NINGBO, HANGZHOU) / kmh * 3_600 + SLACK_S))
    assert len(await signals(desk)) == count


async def test_doors_of_one_street_unknown_places_and_captures_say_nothing(desk):
    here = await Site.enrolled(desk, 1, NINGBO)
    beside = await Site.enrolled(desk, 2, NEXT_DOOR)
    nowhere = await Site.enrolled(desk, 3, None)
    far = await Site.enrolled(desk, 4, HANGZHOU)
    await here.ship(shown(0))
    await beside.ship(shown(1))
    await nowhere.ship(shown(2))
    await far.ship(shown(3, kind="capture"), shown(4, 9))
    assert await signals(desk) == []


async def test_a_flood_of_journeys_is_counted_and_its_acts_are_bounded(desk):
    here = await Site.enrolled(desk, 1, NINGBO)
    there = await Site.enrolled(desk, 2, HANGZHOU)
    await here.ship(*(shown(0, n) for n in range(1, 101)))
    await there.ship(*(shown(5, n) for n in range(1, 101)))
    assert len(await signals(desk)) == ACTS_MAX
    assert 'kanhe_central_signals_total{signal="far_apart"} 100.0' in await metrics(desk)


async def test_what_nodes_ship_is_counted_by_known_names_only(desk):
    here = await Site.enrolled(desk, 1, None)
    await here.ship(
        shown(0), shown(1, scene="made.up", decision="odd", reason="odd"),
        EventRecord(at_ms=AT_MS, event="signal.replay", detail={}),
        EventRecord(at_ms=AT_MS, event="signal.made_up", detail={}))
    page = await metrics(desk)
    assert ('kanhe_central_verifications_total{decision="accept",reason="ok",'
            'scene="hotel.checkin"} 1.0') in page
    assert ('kanhe_central_verifications_total{decision="other",reason="other",'
            'scene="other"} 1.0') in page
    assert 'kanhe_central_signals_total{signal="replay"} 1.0' in page
    assert "made_up" not in page
    assert "made.up" not in page
    assert 'kanhe_central_records_total{kind="event"} 2.0' in page


async def test_the_fleet_is_shown_and_a_hurried_scraper_reads_it_once(desk):
    await Site.enrolled(desk, 1, NINGBO)
    node = (await desk.call("GET", "/v1/nodes"))[1]["nodes"][0]
    first = await metrics(desk)
    assert f'kanhe_central_node_info{{name="n",node="{node["node_id"]}"' in first
    assert f'kanhe_central_node_silent_seconds{{node="{node["node_id"]}"}}' in first
    assert await metrics(desk) == first


@pytest.mark.parametrize("place", [{"lat": 91, "lon": 0}, {"lat": 0, "lon": 181}, {"lat": 1}])
async def test_only_places_on_earth_of_known_nodes(desk, place):
    node_id = (await desk.enrol(key=KEY))[1]["node_id"]
    assert (await desk.call("PUT", f"/v1/nodes/{node_id}/place", place))[0] == 422
    there = await desk.call("PUT", "/v1/nodes/nobody/place", {"lat": 1, "lon": 1})
    assert there[0] == 404
