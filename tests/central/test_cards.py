"""Cards and status lists of the platform, over HTTP, held against the node's own rules."""

import base64
from datetime import datetime

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import TestServer

from central import statuslists
from central.app import application
from central.config import CentralConfig
from central.platform import Platform
from central.registry import CHINA
from central.statuslists import ENTRIES, ROUND_S
from edge.hotpath.card import check_card
from edge.hotpath.presentation import AuthenticPresentation
from edge.hotpath.statuslist import MEDIA_TYPE, open_token
from edge.protocol.feed import Envelope, Root, list_uri
from edge.protocol.records import Status
from edge.sync.envelope import role_keys
from tests.central.desk import FIELDS, NUMBER, Desk
from tests.central.test_references import Pack
from tests.fakes.ports import FakeClock

NOW = 1_900_000_000.0
LOG = "ningbo"


class Office(Desk):
    """A platform with a clock that the test sets, and one holder with a wallet."""

    clock: FakeClock

    async def settle(self, *, consent=True, **differently):
        _, issued = await self.issue(**differently)
        self.credential = issued["credential_id"]
        shown = (await self.call("GET", f"/v1/credentials/{self.credential}"))[1]
        holder = shown["holder_id"]
        if consent:
            await self.call("POST", f"/v1/holders/{holder}/consents", {
                "purpose": "face_verification", "given": True, "how": "counter"})
            await self.call("POST", f"/v1/holders/{holder}/photograph", data=b"a photograph")
        code = (await self.call("POST", f"/v1/holders/{holder}/wallet-codes"))[1]["code"]
        self.wallet = (await self.call("POST", "/v1/wallets", {"code": code}, token=""))[1]["token"]
        self.holder = holder

    async def cards(self):
        return (await self.call("GET", "/v1/wallet/cards", token=self.wallet))[1]["cards"]

    def root(self) -> Root:
        return msgspec.msgpack.decode(
            msgspec.msgpack.decode(self.platform.root, type=Envelope).body, type=Root)

    def judged(self, delivered):
        authentic = AuthenticPresentation(
            0x11, delivered["key_epoch"], int(NOW) // 5, bytes.fromhex(delivered["credential_id"]),
            base64.b64decode(delivered["card"]))
        return check_card(authentic, LOG, role_keys(self.root(), "cards"))

    async def fetch(self, number=0, tag=""):
        headers = {"If-None-Match": tag} if tag else {}
        url = self.server.make_url(f"/v1/status-lists/{number}")
        async with self.session.get(url, headers=headers) as response:
            return response.status, response.headers.copy(), await response.read()

    async def listed(self, number=0):
        _, _, token = await self.fetch(number)
        return open_token(token, role_keys(self.root(), "status"), list_uri(LOG, number))

    async def set_status(self, status):
        path = f"/v1/credentials/{self.credential}/status"
        assert (await self.call("POST", path, {"status": status, "reason": "test"}))[0] == 200


@pytest.fixture
async def office(tmp_path, address):
    clock = FakeClock(NOW)
    config = CentralConfig(data_dir=tmp_path, database_url=address)
    platform = Platform(config, Pack("fake-v1"), now=clock.now_s)
    await platform.start()
    server = TestServer(application(platform), host="127.0.0.1")
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        office = Office(platform, server, session)
        office.clock = clock
        yield office
    await server.close()
    await platform.stop()


async def test_a_wallet_gets_a_card_for_every_day_that_it_has_keys_for(office):
    await office.settle(valid_until="2031-05-01")
    wallet = (await office.call("GET", "/v1/wallet", token=office.wallet))[1]
    days = {epoch["key_epoch"] for epoch in wallet["credentials"][0]["epochs"]}
    cards = await office.cards()
    assert {card["key_epoch"] for card in cards} == days
    assert len({card["card"] for card in cards}) == len(days) == 3
    card = office.judged(cards[0])
    assert card.credential.type == "resident_id"
    assert card.credential.valid_until_s == int(datetime(2031, 5, 2, tzinfo=CHINA).timestamp())
    assert card.reference.pack == "fake-v1"
    assert card.status.uri == list_uri(LOG, 0)


async def test_a_card_tells_what_the_wallet_shows_and_no_more(office):
    await office.settle()
    fields = office.judged((await office.cards())[0]).credential.fields
    wallet = (await office.call("GET", "/v1/wallet", token=office.wallet))[1]
    assert fields == wallet["credentials"][0]["fields"]
    whole = base64.b64decode((await office.cards())[0]["card"])
    for secret in (NUMBER, FIELDS["name"], FIELDS["birth_date"]):
        assert secret.encode() not in whole


async def test_without_consent_a_card_carries_no_face(office):
    await office.settle(consent=False)
    assert office.judged((await office.cards())[0]).reference is None


async def test_consent_withdrawn_takes_the_face_out_of_the_next_card(office):
    await office.settle()
    assert office.judged((await office.cards())[0]).reference is not None
    await office.call("POST", f"/v1/holders/{office.holder}/consents", {
        "purpose": "face_verification", "given": False, "how": "counter"})
    assert office.judged((await office.cards())[0]).reference is None


@pytest.mark.parametrize("status", ["suspended", "revoked"])
async def test_a_withdrawn_credential_gets_no_further_card(office, status):
    await office.settle()
    await office.set_status(status)
    assert await office.cards() == []


async def test_only_the_wallet_gets_its_cards(office):
    await office.settle()
    for token in ("", "wrong", office.token):
        assert (await office.call("GET", "/v1/wallet/cards", token=token))[0] == 401


async def test_the_list_says_the_status_of_the_credential_and_of_no_other(office):
    await office.settle()
    where = office.judged((await office.cards())[0]).status
    for status in (Status.SUSPENDED, Status.VALID, Status.REVOKED):
        await office.set_status(status.value)
        held = await office.listed()
        assert held.status(where.index, NOW) is status
        withdrawn = [i for i in range(ENTRIES) if held.status(i, NOW) is not Status.VALID]
        assert withdrawn == ([] if status is Status.VALID else [where.index])


async def test_every_change_has_its_own_time_even_within_a_second(office):
    await office.settle()
    times = []
    for status in ("suspended", "valid", "suspended", "revoked"):
        await office.set_status(status)
        times.append((await office.listed()).issued_s)
    assert times == sorted(set(times))
    assert times[-1] - NOW < 10


async def test_a_list_is_public_tagged_and_sent_once(office):
    await office.settle()
    status, headers, token = await office.fetch()
    assert (status, headers["Content-Type"]) == (200, MEDIA_TYPE)
    assert "public" in headers["Cache-Control"]
    again = await office.fetch(tag=headers["ETag"])
    assert (again[0], again[1]["ETag"], again[2]) == (304, headers["ETag"], b"")
    assert (await office.fetch())[2] == token
    await office.set_status("revoked")
    assert (await office.fetch(tag=headers["ETag"]))[0] == 200
    for number in ("1", "9999999999", "x", "-1"):
        assert (await office.fetch(number))[0] == 404


async def test_an_unchanged_list_is_issued_anew_so_that_its_age_stays_small(office):
    await office.settle()
    first = await office.listed()
    office.clock.now += ROUND_S
    again = await office.listed()
    assert first.issued_s < again.issued_s <= office.clock.now
    assert again.statuses == first.statuses
    assert again.expires_s - again.issued_s == 7 * 86_400


async def test_places_are_random_and_the_next_list_is_begun_in_time(office, monkeypatch):
    monkeypatch.setattr(statuslists, "FILLED_MAX", 20)

    def work(tx):
        return [statuslists.allot(tx, bytes([n] * 16)) for n in range(50)]

    entries = await office.platform.database.run(work)
    places = [(entry.number, entry.place) for entry in entries]
    assert len(set(places)) == 50
    assert [entry.number for entry in entries] == [0] * 20 + [1] * 20 + [2] * 10
    inside = [place for number, place in places if number == 0]
    assert inside != sorted(inside)
    assert max(inside) > ENTRIES // 2
    again = await office.platform.database.run(lambda tx: statuslists.allot(tx, bytes(16)))
    assert (again.number, again.place) == places[0]


async def test_a_platform_whose_root_names_no_card_keys_issues_none(office):
    await office.settle()
    root = office.root()
    roles = {name: keys for name, keys in root.roles.items() if name not in {"cards", "status"}}
    old = msgspec.structs.replace(root, roles=roles)
    lacking = msgspec.msgpack.encode(Envelope(msgspec.msgpack.encode(old), ()))
    office.platform.roots = (lacking,)
    assert await office.cards() == []
    assert (await office.fetch())[0] == 404


async def test_a_card_is_never_longer_than_the_wallet_can_draw(office):
    fields = {**FIELDS}
    await office.settle(fields=fields)
    sizes = [len(base64.b64decode(card["card"])) for card in await office.cards()]
    assert max(sizes) <= 556
