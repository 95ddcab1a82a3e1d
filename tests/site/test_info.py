"""A Redis that refuses, lacks or shortens INFO: it is said what is missing, `site` never is.

INFO tells the run, by which a memory that began anew is noticed, and whether anything is evicted.
"""

import re
from pathlib import Path

import pytest

from tests.site.nodes import credential, showing
from tests.site.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
ANN, ONE, TWO = credential(1), showing(1), showing(2)
RIGHTS = re.search(
    r"An account needs `(.*?)`", (ROOT / "docs" / "redis.md").read_text(encoding="utf-8"))[1]
WITHOUT = RIGHTS.replace(" +info", "")
ACCOUNT = {"username": "node", "password": "horse"}


@pytest.mark.parametrize(("options", "account", "missing"), [
    ((f"user node on >horse {WITHOUT}",), ACCOUNT, "maxmemory"),
    ((f"user node on >horse {WITHOUT} +info|memory",), ACCOUNT, "run_id"),
    (("rename-command INFO \"\"",), {}, "maxmemory"),
])
async def test_a_server_that_refuses_info_is_told_apart_and_not_believed(
    redis_installed, open_node, steps, options, account, missing
):
    server = RedisServer(*options)
    try:
        node = open_node(server.url, **account)
        await node.until("denied")
        assert f"leaves {missing} out" in node.site.shown()["why"]
        assert "+info" in node.site.shown()["why"]
        steps.pass_floor()
        assert await node.spend(ANN, ONE) == "node"
        assert node.memory.scope == "node"
    finally:
        server.remove()


@pytest.mark.parametrize(("words", "others", "missing"), [
    (b"$6\r\nmemory", b"$6\r\nserver", "maxmemory"),
    (b"'server'", b"'memory'", "run_id"),
    # A run that is no name of one start, as some services say it for every start.
    (b"'run_id:(%x+)'", b"'hz:(%x+)'    ", "run_id"),
])
async def test_a_server_that_leaves_something_out_of_info_is_not_believed(
    relay, open_node, steps, words, others, missing
):
    relay.altered = {words: others}
    node = open_node(relay.url)
    await node.until("denied")
    assert f"leaves {missing} out" in node.site.shown()["why"]
    steps.pass_floor()
    assert await node.spend(ANN, ONE) == "node"
    relay.altered = {}
    await node.until("began_anew", "shared")


async def test_info_that_is_refused_later_ends_the_claim_and_allowed_again_mends(
    redis_installed, open_node, steps
):
    server = RedisServer(f"user node on >horse {RIGHTS}")
    try:
        here, there = (open_node(server.url, **ACCOUNT) for _ in range(2))
        for node in (here, there):
            await node.until("began_anew", "shared")
        steps.pass_floor()
        assert await here.spend(ANN, ONE) == "site"
        server.client().execute_command("ACL", "SETUSER", "node", "-info")
        # What Redis knows is refused all the same; what it doesn't know isn't claimed.
        assert await there.spend(ANN, TWO) == "spent"
        assert await there.spend(credential(2), ONE) == "node"
        await there.until("denied")
        server.client().execute_command("ACL", "SETUSER", "node", "+info")
        await there.until("began_anew", "shared")
        assert await here.spend(credential(2), TWO) == "spent"
    finally:
        server.remove()
