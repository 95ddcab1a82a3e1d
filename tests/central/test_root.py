"""The next root: made by hand beside a stopped platform, climbed to by its nodes."""

import json
import time

import pytest

from central.keys import ROLES, PlatformKeys
from central.roots import ROOT_FILE, draft_root, load_roots, root_of
from edge.errors import KeyFileError
from edge.protocol.feed import key_id
from edge.sync.state import load_base
from kanhe.cli import main
from tests.central.desk import desk_of
from tests.central.site import Site

PORT_TRIES = 3


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "central.toml"
    path.write_text(f'data_dir = "{tmp_path / "central"}"\n')
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "central"


def rotate(config, *arguments):
    return main(["central", "root", "rotate", "--config", str(config), *arguments])


def newest(folder):
    return root_of((folder / ROOT_FILE).read_bytes())


async def test_a_node_climbs_to_every_next_root_and_believes_only_its_keys(
        folder, config, capfdbinary):
    async with desk_of(folder) as desk:
        port = desk.server.port
        site = Site(desk.url, now=time.time)
        await site.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        await site.start()
        await site.online()
        old = desk.platform.keys.signing["changes"]
    assert rotate(config, "--renew", "changes", "--renew", "status") == 0
    assert rotate(config, "--renew", "keys") == 0
    said = json.loads(capfdbinary.readouterr().out.splitlines()[0])
    assert (said["version"], said["removed"]) == (2, ["changes.key", "status.key"])
    async with desk_of(folder, answering_at=port) as desk:
        head = site.trust.cursor
        await desk.issue()
        await site.until(lambda: site.trust.cursor > head)
        assert load_base(site.store, site.enrolment).root.version == 3
        assert desk.platform.keys.signing["changes"].public_key() != old.public_key()
        # Who enrols now begins at the newest.
        late = Site(desk.url, seed=9, now=time.time)
        await late.enrol((await desk.call("POST", "/v1/node-codes"))[1]["code"])
        await late.start()
        await late.online()
        await late.stop()
        await site.stop()


async def test_a_process_that_kept_the_root_of_before_does_not_start(folder, config, tmp_path):
    async with desk_of(folder):
        pass
    before = (folder / ROOT_FILE).read_bytes()
    rotate(config)
    async with desk_of(folder):
        pass
    (folder / ROOT_FILE).write_bytes(before)
    with pytest.raises(KeyFileError, match="another process of this platform has a later"):
        async with desk_of(folder):
            pass


def test_a_platform_from_before_a_role_gets_it_with_the_next_root(folder, config, monkeypatch):
    monkeypatch.setattr("central.keys.ROLES", ("changes", "keys"))
    load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)
    monkeypatch.undo()
    assert newest(folder).roles.keys() == {"root", "changes", "keys"}
    assert rotate(config) == 0
    assert newest(folder).roles.keys() == {"root", *ROLES}


def test_a_rotation_that_ended_half_way_is_one_that_did_not_begin(folder, config):
    keys = PlatformKeys(folder / "keys")
    roots = load_roots(folder, keys, "kanhe", 1_000)
    made = keys.make("changes", 2)
    again = PlatformKeys(folder / "keys")
    assert load_roots(folder, again, "kanhe", 1_000) == roots
    assert again.signing["changes"].public_key() == keys.signing["changes"].public_key()
    # And the next try takes up what was made.
    assert rotate(config, "--renew", "changes") == 0
    public = made.public_key().public_bytes_raw()
    assert newest(folder).roles["changes"].key_ids == (key_id(public),)


def test_two_of_three_root_keys_that_live_elsewhere(folder, config, tmp_path, capfd):
    load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)
    away = [tmp_path / f"holder-{number}.key" for number in range(3)]
    assert rotate(config, *(f"--root-key={path}" for path in away), "--threshold=2") == 0
    assert newest(folder).roles["root"].threshold == 2
    (folder / "keys" / "root.key").unlink()
    held = (folder / ROOT_FILE).read_bytes()
    assert rotate(config) == 1
    assert "--signer" in capfd.readouterr().err
    assert rotate(config, f"--signer={away[0]}") == 1
    assert "no node would believe" in capfd.readouterr().err
    assert (folder / ROOT_FILE).read_bytes() == held
    assert rotate(config, f"--signer={away[0]}", f"--signer={away[2]}") == 0
    assert newest(folder).version == 3
    assert len(load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)) == 3
    assert not (folder / "keys" / "root.key").exists()


def test_what_cannot_be_is_said_and_changes_nothing(folder, config, tmp_path, capfd):
    load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)
    held = (folder / ROOT_FILE).read_bytes()
    assert rotate(config, "--renew", "root") == 1
    assert "--root-key" in capfd.readouterr().err
    stranger = tmp_path / "stranger.key"
    stranger.write_text("11" * 32)
    stranger.chmod(0o600)
    assert rotate(config, f"--signer={stranger}") == 1
    assert "no node would believe" in capfd.readouterr().err
    assert rotate(config, f"--root-key={stranger}", "--threshold=2") == 1
    assert (folder / ROOT_FILE).read_bytes() == held
    assert main(["central", "root", "show", "--config", str(tmp_path / "none.toml")]) == 1


def test_a_lost_version_or_key_stops_the_start(folder, config):
    keys = PlatformKeys(folder / "keys")
    load_roots(folder, keys, "kanhe", 1_000)
    rotate(config, "--renew", "changes")
    key = folder / "keys" / "changes-2.key"
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(KeyFileError, match="no key of 'changes'"):
        load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)
    key.write_bytes(kept)
    (folder / "keys" / "root-1.envelope").unlink()
    with pytest.raises(KeyFileError, match="root-1"):
        load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", 1_000)


def test_a_draft_keeps_what_it_was_not_asked_to_change(folder):
    keys = PlatformKeys(folder / "keys")
    roots = load_roots(folder, keys, "kanhe", 1_000)
    from central.keys import load_signing_key
    from central.roots import Rotation

    after = root_of(draft_root(roots[-1], keys, Rotation(
        renew=frozenset({"cards"}), signers=(load_signing_key(keys.root_path),)), 500))
    before = root_of(roots[-1])
    assert {role for role in before.roles if after.roles[role] != before.roles[role]} == {"cards"}
    assert after.issued_s == before.issued_s == 1_000
    assert len(after.keys) == len(before.keys)


async def test_a_lost_root_is_not_made_anew_where_there_were_others(folder, config):
    """A version 1 beside nodes that hold version 2 would be a fork: say so instead."""
    async with desk_of(folder):
        pass
    assert rotate(config, "--renew", "changes") == 0
    (folder / ROOT_FILE).unlink()
    with pytest.raises(KeyFileError, match="restore it"):
        load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", int(time.time()))
    assert not (folder / ROOT_FILE).exists()


async def test_a_damaged_root_is_said_to_be_whatever_byte_it_is(folder):
    async with desk_of(folder):
        pass
    path = folder / ROOT_FILE
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 0x81,)) + whole[place + 1:])
        with pytest.raises(KeyFileError, match="damaged: restore it"):
            load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", int(time.time()))
    path.write_bytes(whole)
    assert load_roots(folder, PlatformKeys(folder / "keys"), "kanhe", int(time.time())) == (whole,)
