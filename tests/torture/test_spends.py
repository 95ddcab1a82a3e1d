"""A short run of `make double-spend`, and what its counts mean."""

import random

import pytest

from tests.site.redis_server import why_absent
from tests.torture.showings import Showings, Shown, count
from tests.torture.site_of_two import SiteOfTwo
from tests.torture.spends import attempt, last_line

ATTEMPTS = 400


def shown(*accepts, answered=5):
    return Shown("code", 1, answered, list(accepts))


def test_accepts_are_told_apart_by_node_and_scope():
    found = count([
        shown(("east", "site")), shown(answered=9), shown(("east", "node"), ("west", "node")),
        shown(("east", "site"), ("west", "node")), shown(("west", "site"), ("east", "site")),
        shown(("east", "node"), ("east", "node")),
    ])
    # A code that nobody accepted wasn't spent, so none tried to spend it twice.
    assert last_line(found) == (
        "20 attempts, accepted twice within one node: 1, with scope site: 1, "
        "at two nodes while Redis was away: 3")
    assert found.broken
    assert not count([shown(("east", "site"), ("west", "node"))]).broken
    assert count([shown(("east", "site"), ("east", "node"))]).broken
    assert count([shown(("west", "site"), ("east", "site"))]).broken


@pytest.mark.skipif(bool(why_absent()), reason=why_absent())
async def test_no_code_is_accepted_twice_while_a_node_and_redis_die_and_a_clock_goes_back(
    tmp_path, face_pack_dir
):
    site, chance, said = SiteOfTwo(tmp_path, face_pack_dir.parent), random.Random(3), []
    try:
        data = await site.begin(120, 6)
        showings = Showings(data, site.nodes, chance)
        found = await attempt(
            site, showings, ATTEMPTS, chance, said.append, pauses_s=(0.2,),
            names=("clock set back over a restart", "Redis killed"))
    finally:
        site.stop()
    assert not found.broken, said
    assert found.attempts >= ATTEMPTS
    assert showings.reasons["presentation_replayed"] > ATTEMPTS / 2
    assert showings.scopes["node"] > 0
    assert showings.reasons["clock_untrusted"] == showings.unknown == 0
