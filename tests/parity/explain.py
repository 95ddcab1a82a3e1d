"""The table of what one judge can't know and another does: the only differences there may be.

- Each row names a fact in which two judges' knowledge differs, the reasons that tell of it, and
  what must be so for a judge who gives such a reason.
- A difference is explained if a row's fact differs between the two and one of them gives one of
  its reasons rightly. Anything else is a rule that was written twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.protocol.kh1 import key_epoch_of
from edge.protocol.records import CredentialRecord, ReferenceRecord, ScenePolicy, Status
from tests.parity.cases import USABLE, Case, issued_as
from tests.parity.city import City, Known
from tests.parity.judges import FORBIDDEN, Judges, NodeJudge, Said

R = Reason


@dataclass
class View:
    """What one judge knows of one case, gathered from the story, not from any answer."""

    name: str
    asked_by_gate: bool
    clock: str
    has_keys: bool
    policy: ScenePolicy | None
    holds: bool
    record: CredentialRecord | None
    status: Status | None
    status_age_s: int | None
    by_card: bool
    listed: bool
    reference: ReferenceRecord | None
    spent: bool


@dataclass(frozen=True)
class Row:
    """One thing that can't be known everywhere."""

    name: str
    differs: Callable[[View, View], bool]
    reasons: frozenset[Reason]
    holds: Callable[[View], bool]


def _of(*stages: Stage) -> frozenset[Reason]:
    return frozenset(reason for reason, row in REASONS.items() if row.stage in stages)


FACE = _of(Stage.BIOMETRIC)
WITHDRAWN = {R.CREDENTIAL_REVOKED: Status.REVOKED, R.CREDENTIAL_SUSPENDED: Status.SUSPENDED}

TABLE = (
    Row("gate", lambda a, b: a.asked_by_gate != b.asked_by_gate, frozenset(),
        lambda v: v.asked_by_gate),
    Row("clock", lambda a, b: a.clock != b.clock,
        frozenset({R.CLOCK_UNTRUSTED, R.STEP_EXPIRED, R.STEP_FUTURE}),
        lambda v: v.clock != "trusted"),
    Row("keys not delivered", lambda a, b: a.has_keys != b.has_keys,
        frozenset({R.KEY_EPOCH_UNKNOWN}), lambda v: not v.has_keys),
    Row("policy changed since", lambda a, b: a.policy != b.policy,
        frozenset({R.CREDENTIAL_NOT_ACCEPTED_HERE, R.FACE_ABSENT, R.FACE_MULTIPLE,
                   R.FACE_QUALITY_LOW}) | FACE, lambda v: True),
    Row("status changed since", lambda a, b: a.status != b.status, frozenset(WITHDRAWN),
        lambda v: v.status in WITHDRAWN.values()),
    Row("credential changed since", lambda a, b: a.record != b.record,
        frozenset({R.CREDENTIAL_EXPIRED}), lambda v: v.record is not None),
    Row("credential not heard of", lambda a, b: a.holds != b.holds,
        frozenset({R.CREDENTIAL_UNKNOWN}), lambda v: not v.holds and not v.by_card),
    Row("status too old", lambda a, b: a.status_age_s != b.status_age_s,
        frozenset({R.TRUST_STALE}),
        lambda v: v.policy is not None and v.policy.trust_age_max_s is not None),
    Row("card without a list", lambda a, b: a.listed != b.listed or a.by_card != b.by_card,
        frozenset({R.TRUST_STALE}), lambda v: v.by_card and not v.listed),
    Row("reference changed since", lambda a, b: a.reference != b.reference,
        frozenset({R.NO_MATCH, R.REFERENCE_MISSING}), lambda v: True),
    Row("spent elsewhere", lambda a, b: a.spent != b.spent,
        frozenset({R.PRESENTATION_REPLAYED}), lambda v: v.spent),
)


def explain(one: View, said: Said, other: View, other_said: Said) -> str | None:
    """Name the row that explains a difference; None if nothing does."""
    for row in TABLE:
        if not row.differs(one, other):
            continue
        for view, (decision, reason) in ((one, said), (other, other_said)):
            if not row.holds(view):
                continue
            if (decision, reason) == FORBIDDEN:
                if row.name == "gate":
                    return row.name
            elif reason and Reason(reason) in row.reasons:
                return row.name
    return None


def views(city: City, judges: Judges, case: Case) -> dict[str, View]:
    """Gather what each judge knows, before it is asked."""
    person = None if case.person is None else city.people[case.person]
    now = person.now if person else Known(None)
    cut = person.cut if person else Known(None)
    online = _node(city, judges.online, case, now, case.watch.online_clock,
                   city.policies.get(case.scene), case.watch.online_list == "now")
    offline = _node(city, judges.offline, case, cut, case.watch.offline_clock,
                    city.policies_cut.get(case.scene), case.watch.offline_list != "none")
    platform = View(
        name="platform", asked_by_gate=False, clock="trusted", has_keys=True,
        policy=city.policies.get(case.scene), holds=now.record is not None, record=now.record,
        status=now.status if now.record else None, status_age_s=0, by_card=False, listed=False,
        reference=now.reference, spent=False)
    return {"online": online, "offline": offline, "platform": platform}


def _node(
    city: City, node: NodeJudge, case: Case, known: Known, clock: str,
    policy: ScenePolicy | None, has_list: bool,
) -> View:
    spent = node.spent.get(case.person, -1) if case.person is not None else -1
    view = View(
        name=node.trust.mode, asked_by_gate=True, clock=clock,
        has_keys=key_epoch_of(case.step) in node.trust.keys, policy=policy,
        holds=known.record is not None, record=known.record,
        status=known.status if known.record else None,
        status_age_s=node.trust.status_age_s(case.watch.now), by_card=False, listed=False,
        reference=known.reference, spent=case.step <= spent)
    read = case.card in USABLE and policy is not None and policy.cards != "off"
    if read and case.person is not None:
        person = city.people[case.person]
        held = next(iter(node.trust.lists.values()), None) if has_list else None
        listed = None
        if held is not None and person.entry is not None and case.card != "unlisted":
            listed = held.status(person.entry.index, case.watch.now)
        view.listed = listed is not None
        if not view.holds:
            issued = issued_as(person)
            view.by_card, view.record, view.status = True, issued.record, listed
            view.reference = issued.reference if case.card == "honest" else None
    return view
