"""Snapshots of the platform: made, kept over a restart, given up with the key that signed them."""

import asyncio
import shutil

import msgspec
import pytest

from central.errors import Conflict, Unknown
from central.roots import root_of
from central.snapshots import ENVELOPE_FILE, Snapshots
from kanhe.cli import main
from tests.central.desk import desk_of


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "central.toml"
    path.write_text(f'data_dir = "{tmp_path / "central"}"\n')
    return path


async def test_platform_without_one_says_so_and_one_that_was_made_outlives_a_restart(tmp_path):
    async with desk_of(tmp_path / "central") as desk:
        token = (await desk.enrol())[1]["token"]
        for path in ("/v1/timestamp", "/v1/snapshot"):
            assert (await desk.call("GET", path, token=token))[0] == 404
        made = await desk.platform.snapshots.make()
        whole = (await desk.call("GET", "/v1/snapshot", token=token))[1]
    async with desk_of(tmp_path / "central") as desk:
        assert (await desk.call("GET", "/v1/timestamp", token=token))[0] == 200
        assert (await desk.call("GET", "/v1/snapshot", token=token))[1] == whole
        assert (await desk.platform.snapshots.make()).version > made.version


async def test_snapshot_whose_key_was_withdrawn_is_none_until_the_next_is_made(tmp_path, config):
    async with desk_of(tmp_path / "central") as desk:
        made = await desk.platform.snapshots.make()
    assert main(["central", "root", "rotate", "--config", str(config), "--renew", "snapshot"]) == 0
    async with desk_of(tmp_path / "central") as desk:
        with pytest.raises(Unknown, match="no snapshot"):
            desk.platform.snapshots.timestamp()
        assert (await desk.platform.snapshots.make()).version >= made.version
        assert desk.platform.snapshots.timestamp()


async def test_platform_whose_root_names_no_keys_for_snapshots_makes_none(tmp_path):
    async with desk_of(tmp_path / "central") as desk:
        platform = desk.platform
        await platform.snapshots.make()
        root = root_of(platform.root)
        roles = {name: role for name, role in root.roles.items() if name != "timestamp"}
        snapshots = Snapshots(
            tmp_path / "central" / "snapshots", platform.database, platform.keys,
            msgspec.structs.replace(root, roles=roles), platform.now)
        with pytest.raises(Conflict, match="names no keys"):
            await snapshots.make()
        with pytest.raises(Unknown):
            snapshots.timestamp()


async def test_processes_that_share_the_folder_make_one_at_a_time_and_serve_the_same(tmp_path):
    async with desk_of(tmp_path / "central") as desk:
        platform = desk.platform
        other = Snapshots(
            tmp_path / "central" / "snapshots", platform.database, platform.keys,
            root_of(platform.root), platform.now)
        made, refused = await asyncio.gather(
            platform.snapshots.make(), other.make(), return_exceptions=True)
        assert isinstance(refused, Conflict)
        assert other.envelope() == platform.snapshots.envelope()
        assert (await other.make()).version > made.version
        assert platform.snapshots.newest.version > made.version


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:40], lambda data: bytes(len(data)),
    lambda data: data.replace(b"snapshot", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", 1),
    lambda data: data[:60] + bytes((data[60] ^ 1,)) + data[61:],
    lambda data: data[:-1] + bytes((data[-1] ^ 1,)),
])
async def test_a_damaged_snapshot_is_none_and_the_next_is_made_soon(tmp_path, damage):
    async with desk_of(tmp_path / "central") as desk:
        token, snapshots = (await desk.enrol())[1]["token"], desk.platform.snapshots
        made = await snapshots.make()
        path = tmp_path / "central" / "snapshots" / ENVELOPE_FILE
        path.write_bytes(damage(path.read_bytes()))
        for call in ("/v1/timestamp", "/v1/snapshot"):
            assert (await desk.call("GET", call, token=token))[0] == 404
        assert snapshots.newest is None
        await snapshots.look()
        # Within the same second it may have the same number, which is no step back.
        assert snapshots.newest.version >= made.version
        assert (await desk.call("GET", "/v1/timestamp", token=token))[0] == 200


async def test_a_snapshot_that_lacks_a_part_is_made_anew(tmp_path):
    async with desk_of(tmp_path / "central") as desk:
        await desk.issue()
        snapshots = desk.platform.snapshots
        made = await snapshots.make()
        await snapshots.look()
        assert snapshots.newest.version == made.version
        snapshots.part(snapshots.newest.parts[0].digest.hex()).unlink()
        await snapshots.look()
        assert snapshots.newest.version > made.version


async def test_a_lost_folder_does_not_begin_with_versions_that_nodes_have_had(tmp_path):
    """A restored platform has no snapshot, and its nodes believe none older than the last."""
    async with desk_of(tmp_path / "central") as desk:
        snapshots = desk.platform.snapshots
        before = [(await snapshots.make()).version for _ in range(3)][-1]
        shutil.rmtree(tmp_path / "central" / "snapshots")
        await asyncio.sleep(3.0)
        assert (await snapshots.make()).version > before
