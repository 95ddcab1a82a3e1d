"""Generated presentations: every suite, edge of time, credential, card, face and falsification."""

import random
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from edge.hotpath.card import Card, make_card
from edge.hotpath.holder import Probe, ProbeFault, compare_templates
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.node_seal import SEAL_SUITE
from edge.hotpath.rates import Point
from edge.hotpath.reasons import Reason
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import (
    SEAL_CONTEXT,
    SUITE_SEALED,
    SUITES,
    TAG_CONTEXT,
    SealedInner,
    encode_text,
    key_epoch_of,
    pack_sealed_head,
    pack_sealed_inner,
    step_at,
)
from edge.protocol.records import EpochKeys
from tests.fakes.ports import PACK
from tests.parity.city import LATER, LOG, MADE, MIDNIGHT, SCENES, City, Person, draw_face

POINTS = (Point(fmr=1e-2, threshold=0.8, fnmr=0.01), Point(fmr=1e-3, threshold=0.9, fnmr=0.05))
CLEAR = 0.02
"""No made-up face comes nearer to a threshold: rounding isn't what is tested here."""
QUIET = tuple(MIDNIGHT - 1_700.0 + 89.3 * n for n in range(18))
EDGES = (MIDNIGHT - 7.5, MIDNIGHT - 5.0, MIDNIGHT - 0.001, float(MIDNIGHT), MIDNIGHT + 2.5,
         MIDNIGHT + 5.0, MIDNIGHT + 9.999, MIDNIGHT + 600.0)
MOMENTS = QUIET + EDGES
OFFSETS = (*[0] * 14, -1, -1, -1, 1, 1, 1, -2, 2, -3, 3, -40, 40)
STEPS_A_DAY, FAR_DAYS = 17_280, 9

Clock = Literal["trusted", "degraded", "untrusted"]
Made = Literal["genuine", "altered", "cut", "prefix", "noise", "foreign", "far", "nobody", "day"]
CardKind = Literal["none", "honest", "faceless", "unlisted", "key", "person", "day", "noise"]
USABLE = ("honest", "faceless", "unlisted")


@dataclass(frozen=True)
class Watch:
    """What is so for all cases of one moment."""

    now: float
    online_clock: Clock
    offline_clock: Clock
    online_list: Literal["now", "none"]
    offline_list: Literal["cut", "over", "none"]


@dataclass(frozen=True)
class Case:
    """One showing."""

    number: int
    watch: Watch
    scene: str
    gate: Literal["mine", "other"]
    person: int | None
    made: Made
    suite: int
    step: int
    card: CardKind
    text: str
    face: Probe | ProbeFault | None
    shown_before: tuple[str, ...]
    """Where the same code was shown just before."""


def _clock(rng: random.Random) -> Clock:
    return rng.choice(("trusted",) * 9 + ("degraded", "degraded", "untrusted"))


class Generator:
    """Makes cases from a seed."""

    def __init__(self, city: City, seed: int) -> None:
        self.city, self.rng = city, random.Random(seed)
        self.days = {day: DerivedKeys(keys) for day, keys in city.epochs.items()}
        self._cards: dict[tuple[int, int, str], bytes] = {}

    def watches(self, count: int) -> list[Watch]:
        rng = self.rng
        return [Watch(
            now=now, online_clock=_clock(rng), offline_clock=_clock(rng),
            online_list=rng.choice(("now", "now", "none")),
            offline_list=rng.choice(("cut", "cut", "over", "none")),
        ) for now in sorted(rng.choice(MOMENTS) for _ in range(count))]

    def cases(self, watch: Watch, first: int, count: int) -> list[Case]:
        people = self.rng.sample(range(len(self.city.people)), count)
        return [self._case(watch, first + place, person) for place, person in enumerate(people)]

    def _case(self, watch: Watch, number: int, person: int) -> Case:
        rng = self.rng
        made: Made = rng.choice(("genuine",) * 44 + (
            "altered", "altered", "cut", "prefix", "noise", "foreign", "far", "nobody", "day"))
        late = self.city.people[person].cut.record is None
        suite = SUITE_SEALED if made == "day" or late else rng.choice(SUITES)
        step = step_at(watch.now) + rng.choice(OFFSETS)
        scene = f"scene.n{rng.randrange(SCENES)}"
        card: CardKind = "none"
        if suite == SUITE_SEALED and made == "genuine" and rng.random() < 0.6:
            card = rng.choice(("honest",) * 8 + (
                "faceless", "unlisted", "unlisted", "key", "person", "day", "noise"))
            if card == "honest" and not self._looked_at(scene, person):
                card = "faceless"  # a reference takes long to rotate
        gate = "other" if rng.random() < 0.03 else "mine"
        if rng.random() < 0.02:
            scene, gate = "scene.gone", "mine"
        case = Case(
            number=number, watch=watch, scene=scene, gate=gate, person=person, made=made,
            suite=suite, step=step, card=card, text="", face=None,
            shown_before=rng.choice((
                *[()] * 12, ("online",), ("offline",), ("online", "offline"))))
        text = self._text(case)
        face = None if rng.random() < 0.1 else self._face(self.city.people[person])
        return replace(case, text=text, face=face, person=None if made == "nobody" else person)

    def _looked_at(self, scene: str, person: int) -> bool:
        """Whether some node would compare with a card's reference."""
        policy = self.city.policies.get(scene)
        return (policy is not None and policy.face == "required"
                and self.city.people[person].cut.record is None)

    def _text(self, case: Case) -> str:
        rng, person = self.rng, case.person
        assert person is not None
        day = key_epoch_of(case.step)
        if case.made == "noise":
            drawn = (rng.choice("ABC019 $%*+-./:") for _ in range(rng.randint(0, 80)))
            return "KH1:" + "".join(drawn)
        keys, step = self.days[day], case.step
        if case.made in ("foreign", "far"):
            ahead = FAR_DAYS if case.made == "far" else 0
            step += ahead * STEPS_A_DAY
            keys = DerivedKeys(EpochKeys(key_epoch=day + ahead, master=rng.randbytes(32),
                                         seal_private=rng.randbytes(32)))
        credential_id = (rng.randbytes(16) if case.made == "nobody"
                         else self.city.people[person].credential_id)
        if case.made == "day":
            return self._of_two_days(case.step, credential_id)
        wallet = derive_wallet_keys(keys, case.suite, credential_id)
        text = make_presentation(wallet, step, self._card(case, credential_id))
        if case.made == "altered":
            at = rng.randrange(8, len(text))
            text = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]
        elif case.made == "cut":
            text = text[:rng.randrange(len(text))]
        elif case.made == "prefix":
            text = rng.choice((text.lower(), " " + text, text[1:], text + " ", "KH2" + text[3:]))
        return text

    def _of_two_days(self, step: int, credential_id: bytes) -> str:
        """A sealed code, well made by who has its keys, whose step is of another day."""
        day = key_epoch_of(step)
        keys, head = self.days[day], pack_sealed_head(day)
        compact = keys.compact[1]
        other = step + STEPS_A_DAY
        tagged = TAG_CONTEXT + head[:1] + other.to_bytes(4, "big") + credential_id
        tag = compact.mac(compact.holder_key(credential_id), tagged)[:16]
        plain = pack_sealed_inner(SealedInner(other, credential_id, tag, b""))
        return encode_text(head + SEAL_SUITE.encrypt(
            plain, keys.seal_private.public_key(), SEAL_CONTEXT + head))

    def _card(self, case: Case, credential_id: bytes) -> bytes:
        if case.card == "none":
            return b""
        if case.card == "noise":
            return self.rng.randbytes(200)
        assert case.person is not None
        day = key_epoch_of(case.step) + (case.card == "day")
        key = (case.person, day, case.card)
        if key not in self._cards:
            self._cards[key] = self._make_card(case, day, credential_id)
        return self._cards[key]

    def _make_card(self, case: Case, day: int, credential_id: bytes) -> bytes:
        assert case.person is not None
        person = self.city.people[case.person]
        issued = issued_as(person)
        assert issued.record is not None
        named = bytes(16) if case.card == "person" else credential_id
        said = Card(
            credential=msgspec.structs.replace(issued.record, credential_id=named),
            reference=issued.reference if case.card == "honest" else None,
            status=None if case.card == "unlisted" else person.entry)
        signing = self.city.keys.signing["changes" if case.card == "key" else "cards"]
        return make_card(said, issuer=LOG, epoch=self.days[day], key=signing,
                         issued_s=MADE if person.cut.record else LATER)

    def _face(self, person: Person) -> Probe | ProbeFault:
        rng, drawn = self.rng, self.rng.random()
        if drawn < 0.1:
            return ProbeFault(*rng.choice((
                (Reason.FACE_ABSENT, ""), (Reason.FACE_MULTIPLE, ""),
                (Reason.FACE_QUALITY_LOW, "yaw"))))
        checks = rng.choice((
            {}, {}, {"passive": True}, {"passive": True}, {"still": True},
            {"passive": True, "still": False}, {"passive": False}))
        return Probe(pack=PACK if drawn < 0.97 else "another", template=self._template(person),
                     quality=1.0, components={}, checks=checks)

    def _template(self, person: Person) -> np.ndarray:
        """A face like the person's, half like it or a stranger's, clear of every threshold."""
        rng = self.rng
        stored = [person.face] + [
            np.frombuffer(known.reference.template, np.int8)
            for known in (person.cut, person.now) if known.reference]
        like = rng.choice((*[0.1] * 5, 0.6, 0.6, 5.0))
        while True:
            mixed = person.face.astype(np.float32) + like * draw_face(rng)
            made = np.rint(mixed * (127 / np.abs(mixed).max())).astype(np.int8)
            if all(abs(compare_templates(made, item) - point.threshold) > CLEAR
                   for item in stored for point in POINTS):
                return made


def issued_as(person: Person):
    """What is true of a person when the wallet's card is made."""
    return person.cut if person.cut.record else person.now
