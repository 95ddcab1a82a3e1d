"""The root of the feed: its versions, and how the next one is made.

- The root names the keys of each role. Version 1 is made at the first start; its fingerprint, or
  that of a later one, pins every node, and each version leads to the next (TUF, "root rotation").
- `root.envelope` is the newest; those before are `keys/root-N.envelope`. Replacing the former by
  one rename is what makes the next root hold: new key files are there before, old ones go after.
- Not here: the rules by which a node believes a next root (edge.sync.rules).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.feed import sign, signed_by
from central.keys import ROLES, PlatformKeys, load_signing_key, public_of
from edge.errors import KeyFileError
from edge.files import write_file
from edge.protocol.feed import FORMAT, Envelope, RoleKeys, Root, key_id

ROOT_FILE = "root.envelope"
ROOT_LIFE_S = 10 * 365 * 86_400
ROLE_ROOT = "root"


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What the next root is to change; its dates and roles that were missing come by themselves.

    Attributes:
        renew: Roles that get a new key.
        signers: Who signs: as many of the present root keys as its threshold wants.
        root_keys: The root keys from now on, empty = as before. They sign too.
        threshold: How many of `root_keys` a root needs.
    """

    renew: frozenset[str]
    signers: tuple[Ed25519PrivateKey, ...]
    root_keys: tuple[Ed25519PrivateKey, ...] = ()
    threshold: int = 1


def root_of(envelope: bytes) -> Root:
    """Read what an envelope of ours says."""
    return msgspec.msgpack.decode(
        msgspec.msgpack.decode(envelope, type=Envelope).body, type=Root)


def _whole(path: Path, envelope: bytes) -> Root:
    """Read the newest root from its file.

    Raises:
        KeyFileError: It is damaged.
    """
    try:
        root = root_of(envelope)
        if signed_by(msgspec.msgpack.decode(envelope, type=Envelope), root, ROLE_ROOT):
            return root
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    raise KeyFileError(f"{path} is damaged: restore it; every node is pinned to it")


def load_roots(data_dir: Path, keys: PlatformKeys, log: str, now_s: int) -> tuple[bytes, ...]:
    """Read every version of the root, oldest first, making version 1 at the first start.

    From then on `keys` signs with what the newest names.

    Raises:
        KeyFileError: One is missing, damaged, or names keys that aren't there.
    """
    path = data_dir / ROOT_FILE
    try:
        if not path.exists():
            if _kept(data_dir, 1).exists():
                raise KeyFileError(f"{path} is missing: restore it; every node is pinned to it")
            write_file(path, first_root(keys, log, now_s))
        newest = path.read_bytes()
        root = _whole(path, newest)
        before = tuple(
            _kept(data_dir, version).read_bytes() for version in range(1, root.version))
    except OSError as error:
        raise KeyFileError(f"{error.filename}: {error.strerror}") from error
    keys.believe(root)
    return (*before, newest)


def draft_root(before: bytes, keys: PlatformKeys, change: Rotation, now_s: int) -> bytes:
    """Make the root that follows, signed; nothing is put down but new key files.

    Raises:
        KeyFileError: A key can't be made.
    """
    old = root_of(before)
    version = old.version + 1
    publics = dict(old.keys)
    roles = dict(old.roles)
    for role in ROLES:
        if role in change.renew or role not in roles:
            made = keys.make(role, version) if role in change.renew else keys.signing[role]
            roles[role] = _named(publics, [made], 1)
    if change.root_keys:
        roles[ROLE_ROOT] = _named(publics, change.root_keys, change.threshold)
    used = {name for role in roles.values() for name in role.key_ids}
    root = Root(
        format=FORMAT, log=old.log, version=version, issued_s=max(now_s, old.issued_s),
        expires_s=now_s + ROOT_LIFE_S,
        keys={name: public for name, public in publics.items() if name in used}, roles=roles)
    signers = {public_of(key): key for key in (*change.signers, *change.root_keys)}
    return sign(root, *signers.values())


def put_root(data_dir: Path, before: bytes, after: bytes) -> None:
    """Put the next root down; from then on it holds.

    Raises:
        OSError: It can't be written; the one before holds on.
    """
    write_file(_kept(data_dir, root_of(before).version), before)
    write_file(data_dir / ROOT_FILE, after)


def first_root(
    keys: PlatformKeys, log: str, now_s: int, life_s: int = ROOT_LIFE_S
) -> bytes:
    """Make version 1, signed by the root's key, which is made if there is none.

    Raises:
        KeyFileError: That key is damaged, or can't be made.
    """
    root_key = load_signing_key(keys.root_path)
    publics: dict[str, bytes] = {}
    roles = {role: _named(publics, [key], 1) for role, key in keys.signing.items()}
    roles[ROLE_ROOT] = _named(publics, [root_key], 1)
    return sign(Root(
        format=FORMAT, log=log, version=1, issued_s=now_s, expires_s=now_s + life_s,
        keys=publics, roles=roles), root_key)


def _named(
    publics: dict[str, bytes], keys: Sequence[Ed25519PrivateKey], threshold: int
) -> RoleKeys:
    """Name keys for a role, adding them to those that a root lists."""
    ids = []
    for key in keys:
        public = public_of(key)
        ids.append(key_id(public))
        publics[ids[-1]] = public
    return RoleKeys(tuple(ids), threshold)


def _kept(data_dir: Path, version: int) -> Path:
    return data_dir / "keys" / f"root-{version}.envelope"
