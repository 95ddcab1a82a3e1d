"""Bundles: what a site without a network is brought, refused, and gives back."""

import asyncio
import hashlib
import io
import json
import time

import msgspec
import pytest

from central.errors import Conflict, Forbidden, Invalid, Unknown
from central.feed import sign
from central.nodes import list_nodes, revoke_node
from central.schema import JournalEntry
from edge.config import EdgeConfig
from edge.errors import ConfigError, FeedRefused, JournalError, PackError
from edge.holding import settle_mode
from edge.holding_config import Holding
from edge.node_key import load_or_create_node_key
from edge.parts import open_store
from edge.protocol.bundle import (
    BUNDLE_MAGIC,
    JOURNAL_MAGIC,
    SECTION_HEAD,
    BundledFile,
    BundledPack,
    BundleHead,
)
from edge.protocol.feed import ChangeBatch, Envelope, PutCredential, PutStatus
from edge.protocol.records import Status
from edge.protocol.sections import read_sections
from edge.sync.bundle import _Files, _Sums
from edge.sync.envelope import Refusal
from edge.sync.join import join, make_request
from edge.sync.rules import Mark, RootOfTrust
from edge.sync.state import META_ENROLMENT, META_MARK, META_ROOT
from kanhe.cli import main
from kanhe.node_folder import bring_bundle, open_node_folder
from tests.fakes.city import credential, id_of, status
from tests.offline.site import DAY_S, NOW_S, NodeSide, Packs, PlatformSide


async def test_a_node_that_never_had_a_network_holds_what_the_bundle_brought(platform, node):
    await platform.publish(PutCredential(credential()), PutStatus(status()))
    brought = await node.bring(await platform.bundle(node.node_id))
    assert brought.first == 0
    assert brought.cursor == node.held()["cursor"] > 2
    assert len(brought.key_epochs) == 32
    with open_node_folder(node.config_file) as folder:
        assert folder.store.credential(id_of("ma")) == credential()
        assert folder.store.status(id_of("ma")).status is Status.REVOKED
        assert "hotel.checkin" in folder.store.policies()
    assert node.held()["age"] == 0


async def test_the_same_bundle_twice_changes_nothing_and_one_half_brought_goes_on(platform, node):
    await platform.publish(*(PutCredential(credential(str(n))) for n in range(6_000)))
    bundle = await platform.bundle(node.node_id)
    taken = 0
    with open_node_folder(node.config_file) as folder:
        apply = folder.store.apply

        def cut_off(changes, cursor, meta):
            nonlocal taken
            taken += 1
            if taken > 1:
                raise OSError("the power went")
            apply(changes, cursor, meta)

        folder.store.apply = cut_off
        with pytest.raises(OSError, match="power"):
            await bring_bundle(folder, io.BytesIO(bundle), Packs(), lambda: node.now)
    half = node.held()["cursor"]
    assert 0 < half < 6_000
    whole = await node.bring(bundle)
    assert whole.first == half
    before = node.held()
    again = await node.bring(bundle)
    assert again.cursor == whole.cursor
    assert node.held() == {**before, "size": before["size"] + 1}


async def test_a_bundle_goes_on_from_what_the_journal_file_said(platform, node):
    await node.bring(await platform.bundle(node.node_id))
    cursor = node.held()["cursor"]
    await platform.take(node.journal_file())
    shown = await platform.platform.database.run(list_nodes)
    assert shown[0].report.cursor == cursor
    await platform.publish(PutCredential(credential()))
    platform.now = node.now = NOW_S + DAY_S
    bundle = await platform.bundle(node.node_id)
    assert _head(bundle).first == cursor
    assert (await node.bring(bundle)).cursor > cursor
    # One from the beginning is longer, not other.
    platform.now = node.now = NOW_S + 2 * DAY_S
    assert (await node.bring(await platform.bundle(node.node_id, first=0))).cursor > cursor


async def test_a_gap_is_refused(platform, node):
    await platform.publish(PutCredential(credential()))
    bundle = await platform.bundle(node.node_id, first=3)
    await _refused(node, bundle, "can't follow 0 held")


async def test_an_older_bundle_is_refused(platform, node):
    older = await platform.bundle(node.node_id)
    platform.now += 5
    await node.bring(await platform.bundle(node.node_id))
    await _refused(node, older, "before what is believed")


async def test_a_bundle_that_is_over_is_refused(platform, node):
    bundle = await platform.bundle(node.node_id, life_s=7 * DAY_S)
    node.now = NOW_S + 7 * DAY_S
    await _refused(node, bundle, "expired")
    node.now -= 1
    await node.bring(bundle)


async def test_a_bundle_of_another_node_is_refused(platform, node, tmp_path):
    other = await NodeSide(tmp_path / "other").join(platform)
    await _refused(node, await platform.bundle(other.node_id), "for another node")


async def test_a_bundle_of_another_platform_is_refused(node, tmp_path):
    other = await PlatformSide(tmp_path / "foreign").start()
    twin = await NodeSide(tmp_path / "twin").join(other)
    bundle = await other.bundle(twin.node_id)
    await other.platform.stop()
    await _refused(node, bundle, "signatures needed")


async def test_a_bundle_cut_at_any_place_is_refused(platform, node):
    bundle = await platform.bundle(node.node_id)
    for size in (*range(0, len(bundle), len(bundle) // 15), len(bundle) - 1):
        await _refused(node, bundle[:size], "cut off|no bundle")


async def test_a_bundle_altered_anywhere_is_refused(platform, node):
    bundle = await platform.bundle(node.node_id)
    for at in range(0, len(bundle), len(bundle) // 25):
        altered = bytearray(bundle)
        altered[at] ^= 1
        await _refused(node, bytes(altered))


async def test_sections_left_out_moved_or_added_are_refused(platform, node):
    bundle = await platform.bundle(node.node_id)
    sections = [SECTION_HEAD.pack(kind, len(data)) + data for kind, data in
                read_sections(io.BytesIO(bundle), BUNDLE_MAGIC, "bundle")]
    root, head, changes, keys, end = sections
    for order in ([root, head, keys, changes, end], [root, head, changes, end],
                  [root, head, keys, end], [root, changes, head, keys, end], [root, end],
                  [root, head, head, changes, keys, end], [head, changes, keys]):
        await _refused(node, BUNDLE_MAGIC + b"".join(order))
    await _refused(node, bundle + b"\0", "behind its end")


async def test_endless_sections_and_sizes_are_refused(node):
    for data, words in (
        (BUNDLE_MAGIC + SECTION_HEAD.pack(b"R", 2**32 - 1), "larger than any"),
        (BUNDLE_MAGIC + SECTION_HEAD.pack(b"C", 1) + b"x", "begin with its head"),
        (JOURNAL_MAGIC + bytes(40), "no bundle"),
    ):
        await _refused(node, data, words)


async def test_what_is_made_out_to_a_file_is_not_believed_on_the_wire_nor_the_other_way(
        platform, node):
    with open_node_folder(node.config_file) as folder:
        base = _base(folder)
    keys = platform.platform.keys.signing["changes"]
    honest = ChangeBatch(format=1, log=base.root.log, first=0, head=0, issued_s=NOW_S,
                         expires_s=NOW_S + 60, changes=())
    file = sign(msgspec.structs.replace(honest, carried_to=node.node_id), keys)
    other = sign(msgspec.structs.replace(honest, carried_to="another"), keys)
    feed = base.feed(NOW_S)
    assert feed.changes(sign(honest, keys), NOW_S)
    assert feed.changes(file, NOW_S, carried=True)
    for data, carried in ((file, False), (sign(honest, keys), True), (other, True)):
        with pytest.raises(Refusal) as refused:
            feed.changes(data, NOW_S, carried=carried)
        assert refused.value.rule == "carrier"


async def test_nothing_of_a_bundle_is_readable_without_the_nodes_key(platform, node):
    await platform.publish(PutCredential(credential()))
    bundle = await platform.bundle(node.node_id)
    assert "马某".encode() not in bundle
    assert id_of("ma") not in bundle


async def test_a_running_node_is_told_to_stop(platform, node):
    bundle = await platform.bundle(node.node_id)
    with open_node_folder(node.config_file), pytest.raises(JournalError, match="stop the node"):
        await node.bring(bundle)


async def test_the_journal_comes_back_once_and_the_next_bundle_acknowledges_it(platform, node):
    await node.bring(await platform.bundle(node.node_id))
    await node.note(2_500)
    file = node.journal_file()
    assert (await platform.take(file)).next == 2_501
    assert (await platform.take(file)).next == 2_501
    assert await _records(platform) == 2_501
    assert node.held()["acknowledged"] == 0
    platform.now += 60
    node.now += 60
    assert (await node.bring(await platform.bundle(node.node_id))).acknowledged == 2_501
    # And its counter-signature, without which the node would never retire a segment.
    with open_node_folder(node.config_file) as folder:
        assert folder.journal.countersigned == 2_501
    await node.note(3)
    assert (await platform.take(node.journal_file())).first == 2_501
    assert await _records(platform) == 2_501 + 4


async def test_a_journal_file_cut_altered_or_of_a_stranger_is_refused_whole(
        platform, node, tmp_path):
    await node.note(2_500)
    file = node.journal_file()
    for size in (0, 7, 12, len(file) // 2, len(file) - 65, len(file) - 1):
        with pytest.raises(Invalid):
            await platform.take(file[:size])
    for at in range(8, len(file), len(file) // 30):
        altered = bytearray(file)
        altered[at] ^= 1
        with pytest.raises((Invalid, Forbidden, Unknown)):
            await platform.take(bytes(altered))
    other = await PlatformSide(tmp_path / "foreign").start()
    stranger = await NodeSide(tmp_path / "stranger").join(other)
    with pytest.raises(Unknown):
        await platform.take(stranger.journal_file())
    await other.platform.stop()
    assert await _records(platform) == 0
    assert (await platform.take(file)).next == 2_500


async def test_a_journal_that_contradicts_what_is_held_is_refused(platform, node, tmp_path):
    await node.note(5)
    first = node.journal_file()
    await platform.take(first)
    secret = (node.config.data_dir / "node.key").read_bytes()
    twin = NodeSide(tmp_path / "twin")
    twin.config.data_dir.mkdir()
    (twin.config.data_dir / "node.key").write_bytes(secret)
    (twin.config.data_dir / "node.key").chmod(0o600)
    _copy_enrolment(node, twin)
    twin.now += 1
    await twin.note(5)
    with pytest.raises(Conflict, match="holds 5 records"):
        await platform.take(twin.journal_file())


async def test_a_platform_that_holds_more_than_the_node_is_not_believed(platform, node):
    await node.note(5)
    await platform.take(node.journal_file())
    bundle = await platform.bundle(node.node_id)
    for path in (node.config.data_dir / "journal").iterdir():
        path.unlink()
    await _refused(node, bundle, "an older copy")


async def test_a_revoked_node_gets_nothing_and_gives_nothing(platform, node):
    file = node.journal_file()
    await platform.platform.database.run(lambda tx: revoke_node(tx, node.node_id, "stolen"))
    with pytest.raises(Forbidden, match="revoked"):
        await platform.bundle(node.node_id)
    with pytest.raises(Forbidden, match="revoked"):
        await platform.take(file)
    with pytest.raises(Unknown, match="no such node"):
        await platform.bundle("nobody")


async def test_bounds_of_an_export_are_said(platform, node):
    with pytest.raises(Invalid, match="--from"):
        await platform.bundle(node.node_id, first=10_000)
    with pytest.raises(Invalid, match="days"):
        await platform.bundle(node.node_id, life_s=366 * DAY_S)


async def test_a_pack_comes_along_by_its_checksums(platform, node, face_pack_dir):
    bundle = await platform.bundle(node.node_id, packs=[face_pack_dir])
    packs = Packs()
    brought = await node.bring(bundle, packs)
    assert brought.packs == (face_pack_dir.name,)
    assert packs.ended
    for (_, name), data in packs.files.items():
        assert data == (face_pack_dir / name).read_bytes()
    assert len(packs.files) > 1


def test_packs_that_differ_lack_a_part_or_are_too_many_are_refused():
    def head(*files):
        return BundleHead(
            format=1, log="l", node_id="n", issued_s=0, expires_s=0, first=0, sealed_key=b"",
            journal_log="", journal_next=0, packs=(BundledPack("p", files),))

    def file(data, size=None):
        return BundledFile("f", size or len(data), hashlib.sha256(data).hexdigest())

    for files, stream in (((file(b"ab"),), b"ax"), ((file(b"ab"),), b"a"), ((file(b"ab"),), b"abc"),
                          ((file(b"ab"), file(b"cd")), b"ab")):
        sums = _Sums()
        sums.expect(head(*files))
        with pytest.raises(PackError):
            sums.hear(stream)
            sums.end()
    with pytest.raises(FeedRefused):
        _Sums().expect(head(*[file(b"a")] * 18))
    sink = Packs()
    files = _Files(head(file(b"ab"), file(b"cde")), sink)
    for part in (b"a", b"bcd", b"e"):
        files.hear(part)
    files.end()


async def test_joining_needs_the_root_that_was_read_out(platform, tmp_path):
    node = NodeSide(tmp_path / "new")
    _, store = open_store(node.config)
    answer = await platform.admit(await _request(node))
    for fingerprint, problem in (("0" * 32, FeedRefused), ("12", ConfigError)):
        with pytest.raises(problem):
            join(store, answer, fingerprint=fingerprint, name="n", more={})
    with pytest.raises(FeedRefused):
        join(store, b"{}", fingerprint="0" * 32, name="n", more={})
    join(store, answer, fingerprint=platform.fingerprint, name="n", more={})
    with pytest.raises(ConfigError, match="already"):
        join(store, answer, fingerprint=platform.fingerprint, name="n", more={})
    store.close()
    altered = (await _request(node)).replace(b'"isle"', b'"hell"')
    with pytest.raises(Forbidden):
        await platform.admit(altered)
    with pytest.raises(Invalid):
        await platform.admit(b"{}")


def test_the_whole_way_by_the_command_line(tmp_path, capsysbinary, face_pack_dir):
    central, edge = tmp_path / "central.toml", tmp_path / "edge.toml"
    central.write_text(f'data_dir = "{tmp_path / "central"}"\n'
                       f'packs_dir = "{face_pack_dir.parent}"\n')
    edge.write_text(f'data_dir = "{tmp_path / "edge"}"\n')

    async def first_start():
        side = PlatformSide(tmp_path / "central")
        side.now = time.time()
        await side.start()
        await side.platform.stop()

    def run(*args):
        assert main(["bundle", *args]) == 0
        return json.loads(capsysbinary.readouterr().out)

    at_platform, at_node = ("--config", str(central)), ("--config", str(edge))
    path = {name: str(tmp_path / name) for name in ("request", "answer", "bundle", "journal")}
    assert main(["bundle", "export", "--node", "x", "--out", path["bundle"], *at_platform]) == 1
    assert b"no platform's data folder" in capsysbinary.readouterr().err
    asyncio.run(first_start())
    request = run("request", "--name", "isle", "--out", path["request"], *at_node)
    admitted = run("admit", path["request"], "--out", path["answer"], *at_platform)
    assert admitted["request"] == request["request"]
    run("join", path["answer"], "--root", admitted["root"], *at_node)
    exported = run("export", "--node", admitted["node_id"], "--out", path["bundle"],
                   "--pack", face_pack_dir.name, *at_platform)
    assert (tmp_path / "bundle").stat().st_mode & 0o077 == 0
    brought = run("import", path["bundle"], *at_node)
    assert brought["cursor"] == exported["head"]
    assert (tmp_path / "edge" / "packs" / face_pack_dir.name / "manifest.json").is_file()
    written = run("journal", "--out", path["journal"], *at_node)
    taken = run("take-journal", path["journal"], *at_platform)
    assert taken["next"] == written["size"] == 1
    assert main(["bundle", "import", path["journal"], *at_node]) == 1
    assert b"no bundle" in capsysbinary.readouterr().err


async def _request(node):
    key = load_or_create_node_key(node.config.data_dir / "node.key")
    return msgspec.json.encode(make_request("isle", key.signing, key.seal_public))


def _copy_enrolment(node, twin):
    _, here = open_store(node.config)
    kept = {name: here.meta(name) for name in (META_ENROLMENT, META_ROOT, META_MARK)}
    here.close()
    _, there = open_store(twin.config)
    there.apply((), 0, kept)
    there.close()


def _base(folder):
    return RootOfTrust.restored(
        folder.store.meta("sync.root"), node_id=folder.node_id, mark=Mark())


def _head(bundle):
    for kind, payload in read_sections(io.BytesIO(bundle), BUNDLE_MAGIC, "bundle"):
        if kind == b"H":
            body = msgspec.msgpack.decode(payload, type=Envelope).body
            return msgspec.msgpack.decode(body, type=BundleHead)
    raise AssertionError("no head")


async def _records(platform):
    return await platform.platform.database.run(
        lambda tx: tx.session.query(JournalEntry).count())


async def _refused(node, bundle, words=None):
    before = node.held()
    packs = Packs()
    with pytest.raises((FeedRefused, PackError), match=words):
        await node.bring(bundle, packs)
    assert node.held() == before
    assert not packs.files


async def test_node_without_a_network_keeps_its_region_of_what_bundles_bring(platform, node):
    async def bring(*of: tuple[str, str]) -> None:
        await platform.publish(*(
            PutCredential(msgspec.structs.replace(credential(name), region=region))
            for name, region in of))
        await node.bring(await platform.bundle(node.node_id))

    await bring(("ma", "330203"), ("li", "330205"))
    ours = EdgeConfig(holding=Holding(mode="region", regions=("330203",)))
    with open_node_folder(node.config_file) as folder:
        cursor = folder.store.cursor()
        settle_mode(ours, folder.store)
        assert folder.store.credential(id_of("ma")) is not None
        assert folder.store.credential(id_of("li")) is None
        assert folder.store.cursor() == cursor
    await bring(("ma", "330205"), ("li", "330203"), ("wu", "330205"))
    with open_node_folder(node.config_file) as folder:
        settle_mode(ours, folder.store)
        held = [name for name in ("ma", "li", "wu")
                if folder.store.credential(id_of(name)) is not None]
        assert (held, folder.store.seen) == (["li"], {"330203", "330205"})
