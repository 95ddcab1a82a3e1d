"""Scene policies: versioned, the highest version in force, every change in the feed."""

import re
from importlib.resources import files

import msgspec
from sqlalchemy import func, select

from central.errors import Invalid, Unknown
from central.policy_rules import wrong_fields
from central.schema import Policy
from central.store import Transaction
from edge.protocol.feed import PutPolicy
from edge.protocol.records import ScenePolicy

SCENE_NAME = re.compile(r"[a-z0-9_]{1,31}\.[a-z0-9_]{1,31}")


class PolicyChange(msgspec.Struct, frozen=True):
    """One field that a version changed, as JSON."""

    field: str
    before: str
    now: str


class PolicyVersion(msgspec.Struct, frozen=True):
    """A version of a scene's policy; the first one changed nothing."""

    version: int
    changed_s: int
    changes: list[PolicyChange]


def install_defaults(tx: Transaction) -> None:
    """Put the shipped scenes into an empty platform."""
    if tx.session.scalar(select(func.count()).select_from(Policy)):
        return
    data = files("central").joinpath("policies.json").read_bytes()
    for policy in msgspec.json.decode(data, type=list[ScenePolicy]):
        _put(tx, policy)


def list_policies(tx: Transaction) -> list[ScenePolicy]:
    """Give the policies in force, by scene."""
    rows = tx.session.scalars(select(Policy).order_by(Policy.scene, Policy.version))
    latest = {row.scene: row.body for row in rows}
    return [msgspec.json.decode(body, type=ScenePolicy) for body in latest.values()]


def get_policy(tx: Transaction, scene: str) -> ScenePolicy:
    """Give the policy in force.

    Raises:
        Unknown: There is no such scene.
    """
    for policy in list_policies(tx):
        if policy.scene == scene:
            return policy
    raise Unknown(f"there is no scene {scene[:64]!r}")


def set_policy(tx: Transaction, scene: str, body: bytes, reason: str) -> ScenePolicy:
    """Put a new version of a scene's policy in force.

    Args:
        scene: Its name.
        body: JSON of a `ScenePolicy`; scene and version are set here.
        reason: Why, for the record of acts.

    Raises:
        Invalid: What is wrong with it.
    """
    if not SCENE_NAME.fullmatch(scene):
        raise Invalid("a scene's name is like hotel.checkin: a-z, 0-9, _, and one dot")
    try:
        raw = msgspec.json.decode(body)
        if not isinstance(raw, dict):
            raise Invalid("a policy is a JSON object")
        version = tx.session.scalar(select(func.max(Policy.version)).where(Policy.scene == scene))
        unknown = set(raw) - {field.name for field in msgspec.structs.fields(ScenePolicy)}
        if unknown:
            raise Invalid(f"a policy has no {', '.join(sorted(unknown))}")
        policy = msgspec.convert(
            raw | {"scene": scene, "version": (version or 0) + 1}, ScenePolicy
        )
    except msgspec.MsgspecError as error:
        raise Invalid(str(error)) from error
    for name, words in wrong_fields(policy).items():
        raise Invalid(f"{name}: {words.en}")
    _put(tx, policy)
    tx.act("policy.set", f"{scene} v{policy.version}", reason)
    return policy


def list_versions(tx: Transaction, scene: str) -> list[PolicyVersion]:
    """Give every version of a scene's policy, the newest first, each with what it changed.

    Raises:
        Unknown: There is no such scene.
    """
    rows = tx.session.scalars(
        select(Policy).where(Policy.scene == scene).order_by(Policy.version)).all()
    if not rows:
        raise Unknown(f"there is no scene {scene[:64]!r}")
    found: list[PolicyVersion] = []
    before: dict[str, object] = {}
    for row in rows:
        now: dict[str, object] = msgspec.json.decode(row.body)
        found.append(PolicyVersion(row.version, row.changed_s, policy_diff(before, now)))
        before = now
    return found[::-1]


def policy_diff(before: dict[str, object], now: dict[str, object]) -> list[PolicyChange]:
    """Give what differs between two policies, field by field, version apart."""
    def words(value: object) -> str:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    defaults = {field.name: field.default for field in msgspec.structs.fields(ScenePolicy)}
    names = [name for name in defaults if name not in ("version", "scene")]
    old = {name: words(before.get(name, defaults[name])) for name in names} if before else {}
    new = {name: words(now.get(name, defaults[name])) for name in names}
    return [
        PolicyChange(name, old.get(name, ""), new[name])
        for name in names if before and old.get(name, "") != new[name]
    ]


def _put(tx: Transaction, policy: ScenePolicy) -> None:
    tx.session.add(Policy(
        scene=policy.scene, version=policy.version, body=msgspec.json.encode(policy),
        changed_s=tx.now_s,
    ))
    tx.publish(PutPolicy(policy))
