"""Sentinel and Cluster for real, TLS, and what a URL may say."""

import asyncio
import contextlib
import subprocess
import time

import pytest
import redis

from edge.cache.site import link
from edge.cache.site.place import LinkOptions, parse_url
from edge.errors import ConfigError
from tests.fakes.loopback import free_port
from tests.site.nodes import credential, showing
from tests.site.redis_server import RedisServer
from tests.site.test_wakes import signs_of

ANN, BOB = credential(1), credential(2)
ONE, TWO = showing(1), showing(2)
READY_S_MAX = 60.0


def wait_until(true, within_s: float = READY_S_MAX) -> None:
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if true():
                return
        assert time.monotonic() < deadline, "the servers didn't become ready"
        time.sleep(0.05)


@pytest.fixture
def watched(redis_installed):
    """A master, a replica, and a sentinel that watches them."""
    master = RedisServer("repl-diskless-sync-delay 0")
    replica = RedisServer(f"replicaof 127.0.0.1 {master.port}", "repl-diskless-sync-delay 0")
    wait_until(lambda: replica.client().info("replication")["master_link_status"] == "up")
    sentinel = RedisServer(
        f"sentinel monitor front 127.0.0.1 {master.port} 1",
        # Longer than a busy machine may stand still: else the replica is master already.
        "sentinel down-after-milliseconds front 2000", "sentinel failover-timeout front 2000",
        sentinel=True)
    wait_until(lambda: sentinel.client().sentinel_slaves("front"))
    yield master, replica, sentinel
    for server in (sentinel, replica, master):
        server.remove()


@pytest.fixture
def cluster(redis_installed):
    """Three masters with a third of the slots each."""
    servers = [RedisServer("cluster-enabled yes", "cluster-node-timeout 5000", port=free_port())
               for _ in range(3)]
    subprocess.run(
        ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{s.port}" for s in servers),
         "--cluster-yes"], check=True, capture_output=True, timeout=READY_S_MAX)
    for server in servers:
        wait_until(lambda server=server: server.client().cluster("info")["cluster_state"] == "ok")
    yield servers
    for server in servers:
        server.remove()


async def test_sentinel_leads_to_the_master_and_after_its_death_to_the_next(
    watched, open_node, steps
):
    master, replica, sentinel = watched
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/front"
    here, there = open_node(url), open_node(url)
    for node in (here, there):
        await node.until("began_anew", "shared")
    steps.pass_floor()
    assert await here.spend(ANN, ONE) == "site"
    assert await there.spend(ANN, TWO) == "spent"
    master.kill()
    assert await here.spend(BOB, ONE) == "node"
    assert await there.spend(credential(50), ONE) == "node"
    # The replica may lack what was last written: nothing of before is claimed.
    for node in (here, there):
        async with asyncio.timeout(READY_S_MAX):
            while not node.memory.circuit.closed:
                await asyncio.sleep(0.05)
        assert node.state == "began_anew"
    assert replica.client().info("replication")["role"] == "master"
    assert await there.spend(BOB, TWO) == "spent"
    steps.pass_floor()
    assert await here.spend(ANN, ONE) == "site"
    assert await there.spend(ANN, TWO) == "spent"


async def test_a_cluster_is_one_memory(cluster, open_node, steps):
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in cluster[:2])
    here, there = open_node(url), open_node(url)
    for node in (here, there):
        await node.until("began_anew", "shared")
    steps.pass_floor()
    for number in range(60):
        found = await asyncio.gather(*(
            node.spend(credential(number), showing(10 * number + place))
            for place, node in enumerate((here, there))))
        assert sorted(found) == ["site", "spent"]
    assert all(server.client().dbsize() > 0 for server in cluster)
    here.site.answers.keep(ANN, b"answer")
    async with asyncio.timeout(5):
        while (found := await there.site.answers.find(ANN)) is None:
            await asyncio.sleep(0.02)
    assert found == b"answer"


async def test_a_cluster_wakes_its_nodes_and_is_asked_for_signs_of_life(
    cluster, open_node, monkeypatch
):
    monkeypatch.setattr(link, "SILENT_S", 1.0)
    url = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    here, there = open_node(url), open_node(url)
    for node in (here, there):
        await node.until("began_anew", "shared")

    def subscribed() -> set[str]:
        return {client["addr"] for server in cluster for client in server.client().client_list()
                if client["sub"] == "1"}

    async with asyncio.timeout(READY_S_MAX):
        while len(subscribed()) < 2:
            await asyncio.sleep(0.05)
    before, asked = subscribed(), signs_of(*cluster)
    # Each of both twice: a sign that wasn't heard would have ended one after the first.
    async with asyncio.timeout(READY_S_MAX):
        while signs_of(*cluster) < asked + 4:
            await asyncio.sleep(0.05)
    assert subscribed() == before
    here.cursor = 5
    async with asyncio.timeout(READY_S_MAX):
        while there.woken == 0:
            here.site.wakes.tell()
            await asyncio.sleep(0.2)


async def test_a_cluster_is_listened_to_at_the_first_try(cluster):
    way = link.RedisLink(LinkOptions(url=f"redis+cluster://127.0.0.1:{cluster[0].port}"))

    async def hear() -> bytes:
        # Before any other call has found the Cluster's slots: a fault would be a pause.
        return await anext(way.listen("kanhe:wake"))

    hearing = asyncio.create_task(hear())
    try:
        async with asyncio.timeout(READY_S_MAX):
            while not hearing.done():
                cluster[1].client().publish("kanhe:wake", b"news")
                await asyncio.sleep(0.05)
        assert hearing.result() == b"news"
    finally:
        hearing.cancel()
        await way.close()


async def test_one_master_of_a_cluster_that_forgets_is_noticed(cluster, open_node, steps):
    url = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    here, there = open_node(url), open_node(url)
    for node in (here, there):
        await node.until("began_anew", "shared")
    steps.pass_floor()
    spent = {number: await here.spend(credential(number), showing(number)) for number in range(30)}
    assert set(spent.values()) == {"site"}
    cluster[1].restart()
    wait_until(lambda: cluster[1].client().cluster("info")["cluster_state"] == "ok")
    found = [await there.spend(credential(number), showing(100 + number)) for number in range(30)]
    assert "site" not in found
    await there.until("began_anew")
    steps.pass_floor()
    assert await there.spend(credential(500), ONE) == "site"


def tls_options(folder, port: int) -> list[str]:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    return [f"tls-port {port}", f"tls-cert-file {folder}/cert.pem",
            f"tls-key-file {folder}/key.pem", f"tls-ca-cert-file {folder}/cert.pem",
            "tls-auth-clients no"]


async def test_a_cluster_over_tls(redis_installed, open_node, tmp_path):
    server = RedisServer(*tls_options(tmp_path, port := free_port()), "cluster-enabled yes",
                         "tls-cluster yes", port=free_port())
    try:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: client.cluster("info")["cluster_state"] == "ok")
        node = open_node(f"rediss+cluster://127.0.0.1:{port}", authority=tmp_path / "cert.pem")
        await node.until("began_anew")
        async with asyncio.timeout(10):
            while not client.pubsub_numsub("kanhe:wake")[0][1]:
                await asyncio.sleep(0.05)
    finally:
        server.remove()


async def test_tls_is_believed_by_its_authority_only(redis_installed, open_node, tmp_path):
    server = RedisServer(*tls_options(tmp_path, port := free_port()))
    try:
        url = f"rediss://127.0.0.1:{port}"
        stranger = open_node(url)
        node = open_node(url, authority=tmp_path / "cert.pem")
        await node.until("began_anew")
        await stranger.until("unreachable")
        assert await stranger.spend(ANN, ONE) == "node"
    finally:
        server.remove()



@pytest.mark.parametrize(("url", "kind", "tls", "hosts", "path"), [
    ("redis://cache", "alone", False, (("cache", 6379),), ""),
    ("redis://10.0.0.4:7000/3", "alone", False, (("10.0.0.4", 7000),), "3"),
    ("rediss://cache", "alone", True, (("cache", 6379),), ""),
    ("redis://[::1]:6380", "alone", False, (("::1", 6380),), ""),
    ("unix:///run/redis.sock", "unix", False, (), "/run/redis.sock"),
    ("redis+sentinel://a,b:26380/front", "sentinel", False, (("a", 26379), ("b", 26380)), "front"),
    ("rediss+cluster://a:7000,b", "cluster", True, (("a", 7000), ("b", 6379)), ""),
])
def test_addresses(url, kind, tls, hosts, path):
    assert parse_url(url) == (kind, tls, hosts, path)


@pytest.mark.parametrize("url", [
    "cache:6379", "http://cache", "redis://", "redis://a,b", "redis://a/name", "redis://a:port",
    "redis+sentinel://a", "redis+cluster://a/0", "redis+other://a", "unix://", "redis://a:99999",
    "redis://[::1", "redis://a]", "redis://a/0#b", "redis://a/0?db=1",
])
def test_what_is_no_address(url):
    with pytest.raises(ConfigError, match=r"redis\.url"):
        parse_url(url)


@pytest.mark.parametrize("url", [
    "redis://me:horse@cache", "redis://cache/0?password=horse", "unix:///run/r?password=horse",
    "http://cache?password=horse",
])
def test_a_password_in_an_address_is_refused_and_not_shown(url):
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert "horse" not in str(caught.value)
    assert "password_file" in str(caught.value)
