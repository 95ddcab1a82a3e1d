"""Scene policies: versioned, the highest version in force, every change in the feed."""

import re
from importlib.resources import files

import msgspec
from sqlalchemy import func, select

from central.errors import Invalid, Unknown
from central.schema import Policy
from central.store import Transaction
from edge.protocol.feed import PutPolicy
from edge.protocol.records import CREDENTIAL_TYPES, ScenePolicy

STEPS_BACK_MAX = 60
STEPS_AHEAD_MAX = 60
CHALLENGE_S_MIN, CHALLENGE_S_MAX = 5, 120
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
    strange = [kind for kind in policy.accepts if kind not in CREDENTIAL_TYPES]
    if strange:
        raise Invalid(f"accepts: there is no credential {strange[0][:40]!r}")
    if not 0 <= policy.steps_back <= STEPS_BACK_MAX:
        raise Invalid(f"steps_back is 0 to {STEPS_BACK_MAX}")
    if not 0 <= policy.steps_ahead <= STEPS_AHEAD_MAX:
        raise Invalid(f"steps_ahead is 0 to {STEPS_AHEAD_MAX}")
    # A comparison with not-a-number is false, so that is refused too.
    if not 0.0 < policy.fmr_max < 1.0:
        raise Invalid("fmr_max is a rate between 0 and 1, 0.001 for one in a thousand")
    if policy.fnmr_max is not None and not 0.0 < policy.fnmr_max <= 1.0:
        raise Invalid("fnmr_max is a rate above 0 and up to 1, or none")
    if not CHALLENGE_S_MIN <= policy.challenge_open_s <= CHALLENGE_S_MAX:
        raise Invalid(f"challenge_open_s is {CHALLENGE_S_MIN} to {CHALLENGE_S_MAX}")
    if policy.reference_age_max_days is not None and policy.reference_age_max_days < 1:
        raise Invalid("reference_age_max_days is 1 or more, or null for no bound")
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
