"""A small city at a real platform's database, before and after an offline node was cut off.

- What happens after the cut reaches the online node by the real feed; the offline one never hears.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from central import epochs, feed, feed_keys, policies, registry, statuslists
from central.config import CentralConfig
from central.keys import PlatformKeys
from central.schema import Credential
from central.store import Database, Transaction
from edge.hotpath.card import StatusRef
from edge.hotpath.statuslist import StatusList, open_token
from edge.protocol.feed import (
    Change,
    DropReference,
    PutCredential,
    PutGate,
    PutReference,
    list_uri,
)
from edge.protocol.kh1 import SUITES
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    Status,
)
from edge.protocol.steps import DAY_S
from edge.sync.sealing import open_changes
from tests.fakes.ports import PACK

DAY = 21_100
MIDNIGHT = (DAY + 1) * DAY_S
MADE, CUT, LATER = MIDNIGHT - 7_200, MIDNIGHT - 3_600, MIDNIGHT - 1_800
LOG = "parity"
PEOPLE, SCENES = 400, 18
TYPES = ("resident_id", "driving_licence", "health_card", "residence_permit")
CHANGED_ACCEPTS, CHANGED_FACE = "scene.n0", "scene.n1"
"""Scenes whose policy is changed after the cut."""
MINE = GateRecord(gate_id="mine", secret_hash=bytes(32),
                  scenes=(*(f"scene.n{n}" for n in range(SCENES)), "scene.gone"))
OTHER = GateRecord(gate_id="other", secret_hash=bytes(32), scenes=("scene.n2",))


@dataclass
class Known:
    """What is true of somebody at one time."""

    record: CredentialRecord | None
    status: Status = Status.VALID
    reference: ReferenceRecord | None = None


@dataclass
class Person:
    """A credential with its holder, as of the cut and as of now."""

    credential_id: bytes
    face: np.ndarray
    cut: Known
    now: Known
    entry: StatusRef | None = None


@dataclass
class City:
    """All that the judges are made of."""

    database: Database
    keys: PlatformKeys
    people: list[Person] = field(default_factory=list)
    until_cut: list[Change] = field(default_factory=list)
    afterwards: list[Change] = field(default_factory=list)
    epochs: dict[int, EpochKeys] = field(default_factory=dict)
    policies_cut: dict[str, ScenePolicy] = field(default_factory=dict)
    policies: dict[str, ScenePolicy] = field(default_factory=dict)
    list_cut: StatusList | None = None
    list_now: StatusList | None = None


def draw_face(rng: random.Random) -> np.ndarray:
    drawn = np.random.default_rng(rng.getrandbits(32)).normal(size=128)
    return np.rint(drawn * (127 / np.abs(drawn).max())).astype(np.int8)


SCENES_WANTED: dict[int, dict[str, object]] = {
    0: {"face": "off"}, 1: {"face": "required"}, 2: {"face": "off"},
    3: {"face": "required", "pad": "required", "challenge": "if_available", "accepts": TYPES,
        "suites": SUITES, "trust_age_max_s": None, "fmr_max": 1e-3},
    4: {"face": "required", "fmr_max": 1e-5, "pack_override": "", "accepts": TYPES,
        "suites": SUITES},
    5: {"face": "off", "cards": "with_status", "trust_age_max_s": None, "accepts": TYPES},
    6: {"face": "required", "cards": "without_status", "trust_age_max_s": None, "accepts": TYPES},
}
"""What chance might leave out, by the scene's number."""


def _policy(rng: random.Random, number: int) -> dict[str, object]:
    return {
        "title": {"zh": "", "en": ""}, "accepts": rng.sample(TYPES, rng.randint(3, len(TYPES))),
        "suites": SUITES if rng.random() < 0.8 else rng.sample(SUITES, 2),
        "steps_back": rng.choice((0, 1, 1, 2, 3)), "steps_ahead": rng.choice((0, 1, 1, 2)),
        "face": rng.choice(("required", "required", "off")),
        "fmr_max": rng.choice((1e-2, 1e-3, 1e-3, 1e-5)),
        "pack_override": rng.choice(("", "a trial")), "no_match": rng.choice(("reject", "refer")),
        "attack": rng.choice(("reject", "refer")),
        "pad": rng.choice(("required", *["if_available"] * 3, "off")),
        "challenge": rng.choice(("off", "if_available")),
        "purpose": rng.choice((*["verification"] * 3, "identification")),
        "reference_age_max_days": rng.choice((None, None, 30)),
        "trust_age_max_s": rng.choice((None, None, 7_200, 600)),
        "trust_stale": rng.choice(("refer", "reject")),
        "clock_degraded": rng.choice(("judge", "narrow", "refer")),
        "cards": rng.choice(("off", "with_status", "with_status", "without_status")),
        **SCENES_WANTED.get(number, {}),
    }


async def build_city(folder: Path, seed: int) -> City:
    """Let a city happen, from its beginning to some time after the cut."""
    rng, clock = random.Random(seed), [MADE]
    keys = PlatformKeys(folder / "keys")
    city = City(Database(
        CentralConfig(data_dir=folder).database_address, keys, lambda: float(clock[0])), keys)
    await city.database.run(lambda tx: _begin(tx, city, rng))
    clock[0] = CUT
    city.until_cut, city.list_cut = await city.database.run(lambda tx: _read(tx, city, 0))
    city.policies_cut = {
        item.scene: item for item in await city.database.run(policies.list_policies)}
    clock[0] = LATER
    await city.database.run(lambda tx: _go_on(tx, city, rng))
    city.afterwards, city.list_now = await city.database.run(
        lambda tx: _read(tx, city, len(city.until_cut)))
    city.policies = {
        item.scene: item for item in await city.database.run(policies.list_policies)}
    return city


def _begin(tx: Transaction, city: City, rng: random.Random) -> None:
    epochs.make_ahead(tx, 3)
    city.epochs = {keys.key_epoch: keys for keys in epochs.load_epochs(tx, DAY - 1, DAY + 3)}
    for gate in (MINE, OTHER):
        tx.publish(PutGate(gate))
    for number in range(SCENES):
        policies.set_policy(
            tx, f"scene.n{number}", msgspec.json.encode(_policy(rng, number)), "made")
    for number in range(PEOPLE):
        city.people.append(_person(tx, rng, number, late=number % 5 == 4))


def _person(tx: Transaction, rng: random.Random, number: int, *, late: bool) -> Person:
    credential_id, holder = rng.randbytes(16), rng.randbytes(16)
    valid_from, valid_until = rng.choice((
        *[(0, None)] * 8, *[(0, MIDNIGHT + 40 * DAY_S)] * 4, (0, MIDNIGHT), (0, CUT - 5),
        (MIDNIGHT, None)))
    record = CredentialRecord(
        credential_id=credential_id, holder_id=holder, type=TYPES[number % len(TYPES)],
        valid_from_s=valid_from, valid_until_s=valid_until, fields={"name": "马可波"},
        updated_s=LATER if late else MADE)
    face = draw_face(rng)
    person = Person(credential_id, face, Known(None), Known(record))
    person.now.reference = None if rng.random() < 0.1 else ReferenceRecord(
        holder_id=holder, pack=PACK if rng.random() < 0.95 else "another", template=face.tobytes(),
        created_s=MADE - rng.choice((1, 1, 10, 60)) * DAY_S,
        expires_s=rng.choice((None, None, None, None, None, CUT)),
        purpose=rng.choice(("verification", "identification")))
    if late:
        return person
    grant(tx, person)
    status = rng.choice((*[Status.VALID] * 8, Status.SUSPENDED, Status.REVOKED))
    set_status(tx, person, status)
    person.cut = Known(record, status, person.now.reference)
    return person


def grant(tx: Transaction, person: Person) -> None:
    """Grant what a person has by now."""
    record = person.now.record
    assert record is not None
    tx.session.add(Credential(
        id=record.credential_id, holder_id=record.holder_id, type=record.type,
        valid_from_s=record.valid_from_s, valid_until_s=record.valid_until_s,
        sealed=tx.keys.seal(f"credential/{record.credential_id.hex()}",
                            msgspec.json.encode(record.fields)),
        status="valid", status_changed_s=tx.now_s, updated_s=record.updated_s))
    tx.publish(PutCredential(record))
    if person.now.reference is not None:
        tx.publish(PutReference(person.now.reference))
    entry = statuslists.allot(tx, record.credential_id)
    person.entry = StatusRef(list_uri(LOG, entry.number), entry.place)


def set_status(tx: Transaction, person: Person, status: Status) -> None:
    """Change a status as an administrator does."""
    if status is not person.now.status:
        registry.set_status(tx, person.credential_id.hex(), status.value, "so it is")
        person.now.status = status


def _go_on(tx: Transaction, city: City, rng: random.Random) -> None:
    """Let happen what the offline node never hears of."""
    for scene, change in ((CHANGED_ACCEPTS, {"accepts": ["health_card"]}),
                          (CHANGED_FACE, {"face": "off"})):
        before = msgspec.to_builtins(policies.get_policy(tx, scene))
        policies.set_policy(tx, scene, msgspec.json.encode(before | change), "changed")
    for person in city.people:
        if person.cut.record is None:
            grant(tx, person)
        drawn, held = rng.random(), person.now
        if drawn < 0.12:
            set_status(tx, person, Status.REVOKED)
        elif drawn < 0.18 and held.status is Status.VALID:
            set_status(tx, person, Status.SUSPENDED)
        elif drawn < 0.6 and held.status is Status.SUSPENDED:
            set_status(tx, person, Status.VALID)
        elif drawn < 0.26:
            _extend(tx, person)
        elif drawn < 0.5 and held.reference is not None:
            _look_otherwise(tx, person, rng)


def _extend(tx: Transaction, person: Person) -> None:
    record = person.now.record
    assert record is not None
    until = MIDNIGHT + 400 * DAY_S if record.valid_until_s else CUT
    person.now.record = msgspec.structs.replace(record, valid_until_s=until, updated_s=LATER)
    row = tx.session.get_one(Credential, person.credential_id)
    row.valid_until_s, row.updated_s = until, LATER
    tx.publish(PutCredential(person.now.record))


def _look_otherwise(tx: Transaction, person: Person, rng: random.Random) -> None:
    """Enrol another photograph, or withdraw the consent."""
    held = person.now.reference
    assert held is not None
    if rng.random() < 0.3:
        person.now.reference = None
        tx.publish(DropReference(held.holder_id, held.pack))
        return
    person.now.reference = msgspec.structs.replace(
        held, template=draw_face(rng).tobytes(), created_s=LATER)
    tx.publish(PutReference(person.now.reference))


def _read(tx: Transaction, city: City, cursor: int) -> tuple[list[Change], StatusList]:
    """Read the feed from a place on, and the status list, as a node gets them."""
    changes: list[Change] = []
    version = feed_keys.current(tx)
    opening = {version: feed_keys.secret(tx, version)}
    while True:
        batch = open_changes(feed.batch(tx, LOG, cursor + len(changes)), opening)
        if not batch.changes:
            break
        changes += batch.changes
    key = city.keys.signing["status"]
    token, _ = statuslists.token(tx, 0, log=LOG, ahead_days=3, key=key)
    return changes, open_token(token, [key.public_key()], list_uri(LOG, 0))
