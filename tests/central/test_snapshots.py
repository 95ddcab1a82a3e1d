"""Snapshots of the platform: made, kept over a restart, given up with the key that signed them."""

import asyncio

import msgspec
import pytest

from central.errors import Conflict, Unknown
from central.roots import root_of
from central.snapshots import Snapshots
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
        assert made.version == 1
    async with desk_of(tmp_path / "central") as desk:
        assert (await desk.call("GET", "/v1/timestamp", token=token))[0] == 200
        assert (await desk.call("GET", "/v1/snapshot", token=token))[1] == whole
        assert (await desk.platform.snapshots.make()).version == 2


async def test_snapshot_whose_key_was_withdrawn_is_none_until_the_next_is_made(tmp_path, config):
    async with desk_of(tmp_path / "central") as desk:
        await desk.platform.snapshots.make()
    assert main(["central", "root", "rotate", "--config", str(config), "--renew", "snapshot"]) == 0
    async with desk_of(tmp_path / "central") as desk:
        with pytest.raises(Unknown, match="no snapshot"):
            desk.platform.snapshots.timestamp()
        assert (await desk.platform.snapshots.make()).version == 2
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
        assert made.version == 1
        assert isinstance(refused, Conflict)
        assert other.envelope() == platform.snapshots.envelope()
        assert (await other.make()).version == 2
        assert platform.snapshots.newest.version == 2
