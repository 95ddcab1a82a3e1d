"""Backup and restore: everything is there again, nodes rewind, and nothing is lost or skipped."""

import asyncio
import io
import json
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from central.backup import make_backup, restore_backup
from central.config import CentralConfig
from central.intake import list_journal
from central.migrations import HEAD
from edge.errors import ConfigError, StoreError
from edge.protocol.records import Status
from tests.central.desk import desk_of
from tests.central.site import Site

ROOT = Path(__file__).resolve().parents[2]


def config_of(folder, address=""):
    return CentralConfig(data_dir=folder, database_url=address)


@pytest.fixture
async def archive(tmp_path, address):
    """A platform's folder and the backup that was made while it ran."""
    async with desk_of(tmp_path / "first", address) as desk:
        await desk.issue()
        made = tmp_path / "kanhe.backup"
        await asyncio.to_thread(make_backup, config_of(tmp_path / "first", address), made,
                                time.time)
    return made


async def test_back_up_go_on_restore_and_nodes_lose_nothing(tmp_path, new_address):
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "kanhe.backup"
    before, after = new_address(), new_address()
    async with desk_of(first, before) as desk:
        port, site = desk.server.port, Site(desk.url, now=time.time)
        await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        early = (await desk.issue())[1]["credential_id"]
        await site.start()
        site.write(40)
        await site.shipped()
        await asyncio.to_thread(make_backup, config_of(first, before), file, time.time)
        # What the restored platform will not know:
        site.write(25)
        await desk.call("POST", f"/v1/credentials/{early}/status",
                        {"status": "revoked", "reason": "lost"})
        await desk.call("POST", "/v1/gates", {"label": "a", "scenes": ["hotel.checkin"]})
        head = (await desk.feed(site.enrolment.token)).head
        await site.until(lambda: site.trust.cursor == head)
        await site.shipped()
    restored = await asyncio.to_thread(restore_backup, config_of(second, after), file, 1_000)
    assert restored.head < head
    site.write(5)
    async with desk_of(second, after, answering_at=port) as desk:
        await site.online()
        await site.shipped()
        held = await desk.platform.database.run(lambda tx: list_journal(tx, 0, 1_000))
        assert [row["index"] for row in held] == list(range(70))
        # The node goes on behind what it knew, keeps it, and hears of what is new.
        assert site.store.statuses[bytes.fromhex(early)].status is Status.REVOKED
        _, gate = await desk.call("POST", "/v1/gates", {"label": "b", "scenes": ["hotel.checkin"]})
        await site.until(lambda: gate["gate_id"] in site.trust.gates)
        assert site.trust.cursor > head
        assert site.follower.status.last_rule == ""
        await site.until(lambda: not site.trust.keys_pending)
        status = (await desk.call("GET", f"/v1/credentials/{early}"))[1]["status"]
        assert status == "valid"  # forgotten here, and said so in the restore's words
    await site.stop()


async def test_a_node_that_was_behind_at_the_backup_misses_no_change(tmp_path, new_address):
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "kanhe.backup"
    before, after = new_address(), new_address()
    async with desk_of(first, before) as desk:
        port, site = desk.server.port, Site(desk.url, now=time.time)
        await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        early = (await desk.issue())[1]["credential_id"]
        await asyncio.to_thread(make_backup, config_of(first, before), file, time.time)
    await asyncio.to_thread(restore_backup, config_of(second, after), file, 10_000)
    async with desk_of(second, after, answering_at=port) as desk:
        await site.start()
        await site.online()
        assert bytes.fromhex(early) in site.store.credentials
        assert site.trust.cursor == 10_000 + restored_head(file)
        await site.stop()


def restored_head(file):
    with tarfile.open(file) as tar:
        return json.load(tar.extractfile(tar.next()))["head"]


async def test_a_token_rotated_since_the_backup_is_got_back_by_the_nodes_key(tmp_path):
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "kanhe.backup"
    async with desk_of(first) as desk:
        port, site = desk.server.port, Site(desk.url, now=time.time)
        await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        await asyncio.to_thread(make_backup, config_of(first), file, time.time)
        await site.start()
        await site.online()
        for _ in range(2):
            enrolment = await site.identity.renewed(0.0)
            await site.follower.believer.keep(enrolment)
            site.identity.use(enrolment)
            await site.client.root(1)
        await site.stop()
    restore_backup(config_of(second), file, 10)
    async with desk_of(second, answering_at=port):
        await site.start()
        await site.online()
        assert site.enrolment.token != enrolment.token
        await site.stop()


async def test_a_backup_is_for_its_owner_only_and_never_overwritten(archive, tmp_path, address):
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="already"):
        make_backup(config_of(tmp_path / "first", address), archive, time.time)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "kanhe.backup"]


async def test_every_flipped_byte_is_noticed_and_nothing_is_put_in_place(
    archive, tmp_path, new_address
):
    whole = archive.read_bytes()
    after = new_address()
    with tarfile.open(archive) as tar:
        inside = [(member.offset_data, member.size) for member in tar]
    for start, size in inside:
        damaged = bytearray(whole)
        damaged[start + size // 2] ^= 1
        archive.write_bytes(damaged)
        with pytest.raises(StoreError):
            restore_backup(config_of(tmp_path / "second", after), archive, 10)
        assert not list((tmp_path / "second").iterdir())


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
async def test_a_backup_that_is_cut_off_is_noticed(archive, tmp_path, new_address, share):
    whole = archive.read_bytes()
    end = whole.rstrip(b"\0")
    archive.write_bytes(end[: int(len(end) * share)])
    with pytest.raises(StoreError):
        restore_backup(config_of(tmp_path / "second", new_address()), archive, 10)
    assert not list((tmp_path / "second").iterdir())


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "keys/../../outside", "other"])
async def test_a_backup_that_writes_elsewhere_is_refused(tmp_path, name):
    manifest = {"format": 1, "kind": "sqlite", "schema": HEAD, "log": "ningbo", "made_s": 0,
                "head": 0, "parts": {name: {"bytes": 1, "sha256": "0" * 64}}}
    file = tmp_path / "crooked.backup"
    with tarfile.open(file, "w") as tar:
        for inner, data in (("manifest.json", json.dumps(manifest).encode()), (name, b"x")):
            member = tarfile.TarInfo(inner)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with pytest.raises(StoreError, match="isn't in its manifest"):
        restore_backup(config_of(tmp_path / "second"), file, 10)
    assert not (tmp_path / "outside").exists()


async def test_what_is_there_is_never_overwritten(archive, tmp_path, address):
    with pytest.raises(ConfigError, match="isn't empty"):
        restore_backup(config_of(tmp_path / "first", address), archive, 10)
    if address:
        with pytest.raises(ConfigError, match="isn't empty"):
            restore_backup(config_of(tmp_path / "second", address), archive, 10)
    else:
        with pytest.raises(ConfigError, match="postgresql"):
            restore_backup(
                config_of(tmp_path / "second", "postgresql://kanhe@/x"), archive, 10)


async def test_the_commands_do_it_too(tmp_path):
    """A platform that was never run by this command line is backed up and restored by it."""
    async with desk_of(tmp_path / "first") as desk:
        await desk.issue()
    for name in ("first", "second"):
        (tmp_path / f"{name}.toml").write_text(f'data_dir = "{tmp_path / name}"\n')

    def kanhe(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "kanhe", "central", *arguments], cwd=ROOT, text=True,
            capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    file = str(tmp_path / "kanhe.backup")
    code, out, _ = kanhe("backup", file, "--config", str(tmp_path / "first.toml"))
    assert (code, json.loads(out)["event"]) == (0, "backed_up")
    code, out, err = kanhe("restore", file, "--config", str(tmp_path / "second.toml"))
    assert (code, json.loads(out)["event"]) == (0, "restored")
    assert "revoke and grant again" in err
    code, out, err = kanhe("restore", file, "--config", str(tmp_path / "second.toml"))
    assert code == 1
    assert "isn't empty" in err
    code, out, _ = kanhe("migrate", "--config", str(tmp_path / "second.toml"), "--to", "0001")
    assert (json.loads(out)["from"], json.loads(out)["to"]) == (HEAD, "0001")
    async with desk_of(tmp_path / "second") as desk:  # brought up again at its start
        shown = (await desk.call("GET", "/v1/holders"))[1]["holders"]
        assert len(shown) == 1
