"""Enrolment: the code pins the root, and everything or nothing is kept."""

import pytest

from edge.errors import CentralError, ConfigError, StoreError
from edge.sync.believer import Believer
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.envelope import Refusal, Rule
from edge.sync.state import Enrolment, load_base, load_enrolment
from edge.sync.worker import Worker
from tests.fakes.feed_forge import Forge
from tests.fakes.memory_store import MemoryStore
from tests.sync.node import NOW_S, Node


@pytest.fixture
async def client(central):
    client = CentralClient(central.url)
    yield client
    await client.close()


def try_to(client, store, code, name="door"):
    return enrol(
        client, store, code=code, name=name, sign_public=bytes(32), seal_public=bytes(32))


async def test_enrolled_node_keeps_who_it_is_and_whom_it_believes(client, central):
    store = MemoryStore()
    enrolment = await try_to(client, store, f" {central.new_code()}\n")
    assert load_enrolment(store) == enrolment
    assert enrolment.name == "door"
    assert load_base(store, enrolment).root.version == 1


async def test_platform_with_another_root_is_refused_and_nothing_is_kept(client, central):
    code = central.new_code()
    central.forge = Forge(NOW_S)
    store = MemoryStore()
    with pytest.raises(Refusal) as caught:
        await try_to(client, store, code)
    assert caught.value.rule is Rule.FINGERPRINT
    assert load_enrolment(store) is None


async def test_log_that_is_not_the_roots_is_refused_and_nothing_is_kept(client, central):
    code = central.new_code()
    central.forge.log = "another"
    store = MemoryStore()
    with pytest.raises(Refusal) as caught:
        await try_to(client, store, code)
    assert caught.value.rule is Rule.LOG
    assert load_enrolment(store) is None


async def test_code_works_once(client, central):
    code = central.new_code()
    await try_to(client, MemoryStore(), code)
    with pytest.raises(CentralError, match="it was used"):
        await try_to(client, MemoryStore(), code)


async def test_node_enrols_once_into_a_store(client, central):
    store = MemoryStore()
    await try_to(client, store, central.new_code())
    with pytest.raises(ConfigError, match="enrolled already"):
        await try_to(client, store, central.new_code())
    assert len(central.codes) == 1


@pytest.mark.parametrize("code", ["", "short", "x" * 257, "é" * 60])
async def test_what_cannot_be_a_code_is_not_sent(client, central, code):
    with pytest.raises(ConfigError, match="code"):
        await try_to(client, MemoryStore(), code)


@pytest.mark.parametrize("name", ["", "n" * 65])
async def test_name_has_bounds(client, central, name):
    with pytest.raises(ConfigError, match="name"):
        await try_to(client, MemoryStore(), central.new_code(), name)


async def test_full_disk_keeps_nothing(client, central):
    store = MemoryStore()
    store.full = True
    with pytest.raises(StoreError):
        await try_to(client, store, central.new_code())
    assert load_enrolment(store) is None


def test_token_is_in_no_repr():
    enrolment = Enrolment(node_id="n", token="very-secret", log="l", name="x")
    assert "very-secret" not in repr(enrolment)


async def test_start_without_enrolment_says_what_to_do(central, clock):
    node = Node(central, clock)
    node.enrolment = Enrolment(node_id="n", token="t", log="l", name="x")
    with pytest.raises(StoreError, match="enrol"):
        await node.start()
    await node.stop()


@pytest.mark.parametrize("name", ["sync.enrolment", "sync.mark", "sync.freshness"])
async def test_damaged_meta_is_said_and_not_guessed(client, central, clock, name):
    store = MemoryStore()
    await try_to(client, store, central.new_code())
    store.apply((), 0, {name: b"\xc1damaged"})
    worker = Worker("test")
    believer = Believer(
        store=store, seal_private=None, publish=lambda _: None, now=clock, worker=worker,
        epochs_back=1)
    with pytest.raises(StoreError, match="damaged"):
        await believer.load()
    worker.close()
