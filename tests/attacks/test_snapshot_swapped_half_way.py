"""Swapped half way: parts of another snapshot come where those of the first are going on."""

import pytest
from aiohttp import web

from edge.errors import CentralError
from edge.sync import fetch
from edge.sync.envelope import Rule
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import HELD, at, believed
from tests.attacks.wire_story import answered_by
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import KEYS, Forged


class Shelf:
    """Serves the parts of one snapshot; from the second call on, whatever is put in their place."""

    def __init__(self, honest: Forged, then: Forged | None) -> None:
        self.honest, self.then, self.calls = honest, then, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        digest = request.path.rpartition("/")[2]
        names = [part.digest.hex() for part in self.honest.body.parts]
        if digest not in names or (self.calls > 1 and self.then is None):
            return web.Response(status=404)
        source = self.honest if self.calls == 1 or self.then is None else self.then
        first = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        return web.Response(status=206, body=source.parts[names.index(digest)][first:])


def test_parts_of_the_next_snapshot_half_way_through_are_refused():
    forge = Forge(NOW_S)
    one, other = Forged(forge, [GRANTED], [GRANTED]), Forged(forge, [GRANTED], [GRANTED], version=2)
    snapshot = believed(at(forge), one)
    snapshot.part(0, one.parts[0], KEYS)
    with refused(Rule.DIGEST):
        snapshot.part(1, other.parts[1], KEYS)


async def test_part_of_another_snapshot_in_its_place_is_refused_and_not_kept(tmp_path):
    forge = Forge(NOW_S)
    one, other = Forged(forge, [GRANTED], HELD), Forged(forge, [GRANTED], HELD, version=2)
    snapshot = believed(at(forge), one)
    async with answered_by(Shelf(one, other).answer) as client:
        with refused(Rule.DIGEST):
            await fetch.fetch_parts(client, snapshot, tmp_path, lambda *_: None)
    first, second = (part.digest.hex() for part in one.body.parts)
    assert (tmp_path / first).read_bytes() == one.parts[0]
    assert [path.name for path in tmp_path.iterdir()] == [first]
    # The honest platform again: it goes on with what is missing.
    shelf = Shelf(one, one)
    async with answered_by(shelf.answer) as client:
        await fetch.fetch_parts(client, snapshot, tmp_path, lambda *_: None)
    assert (tmp_path / second).read_bytes() == one.parts[1]
    assert shelf.calls == 1


async def test_half_a_part_goes_on_only_with_the_rest_of_the_same(tmp_path):
    forge = Forge(NOW_S)
    one, other = Forged(forge, [GRANTED]), Forged(forge, [GRANTED], version=2)
    snapshot = believed(at(forge), one)
    name = one.body.parts[0].digest.hex()
    (tmp_path / f"{name}.part").write_bytes(other.parts[0][:10])
    async with answered_by(Shelf(one, one).answer) as client:
        with refused(Rule.DIGEST):
            await fetch.fetch_parts(client, snapshot, tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


async def test_snapshot_that_is_not_kept_any_more_is_left_for_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    forge = Forge(NOW_S)
    one, other = Forged(forge, [GRANTED], HELD), Forged(forge, HELD, version=2)
    async with answered_by(Shelf(one, None).answer) as client:
        with pytest.raises(CentralError, match="404"):
            await fetch.fetch_parts(client, believed(at(forge), one), tmp_path, lambda *_: None)
    assert (tmp_path / one.body.parts[0].digest.hex()).exists()
    async with answered_by(Shelf(other, other).answer) as client:
        await fetch.fetch_parts(client, believed(at(forge), other), tmp_path, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == [other.body.parts[0].digest.hex()]
