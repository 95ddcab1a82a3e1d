"""Cards in a verification: read where the scene reads them, used where the node holds nothing.

- A card is judged whenever it is read, so a false one is refused even by a node that could do
  without it; what the node holds of the credential is fresher than the card and is what counts.
- Its status comes from the status list that it names, and from the feed where that tells of it.
  Neither can tell: that is `trust_stale`, and never "valid", unless the policy says that a card's
  own day is fresh enough.
- Not here: what makes a card genuine (edge.hotpath.card).
"""

from collections.abc import Sequence

from edge.errors import StoreError
from edge.hotpath.card import Card, check_card, probe_for_card
from edge.hotpath.credential import check_credential
from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.statuslist import newest_status
from edge.hotpath.verdict import Verdict, verdict
from edge.pipeline.judgement import Judgement, undecided
from edge.pipeline.ports import CredentialCache, FaceEngine, Standings
from edge.protocol.records import ReferenceRecord, Status, StatusRecord


def check_credentials(cases: Sequence[Judgement], cache: Standings) -> None:
    """Judge the credentials of genuine codes; what can't be read of one fails its case."""
    if not cases:
        return
    for case in cases:
        case.found = read_card(case)
    genuine = undecided(cases)
    held = cache.standings(
        [case.authentic.credential_id for case in genuine if case.authentic is not None])
    for case, standing in zip(genuine, held, strict=True):
        if isinstance(standing, StoreError):
            case.failed = standing
        else:
            case.credential, case.status = standing
            case.found = check_held_or_carried(case)
    cases[0].end("cache")


def read_card(case: Judgement) -> Verdict | None:
    """Judge the card of a genuine code where it has one and the scene reads cards."""
    authentic, trust = case.authentic, case.trust
    assert authentic is not None
    if not authentic.card or not trust.card_keys or case.policy.cards == "off":
        return None
    found = check_card(authentic, trust.log, trust.card_keys)
    if isinstance(found, Verdict):
        return found
    case.card = found
    return None


def check_held_or_carried(case: Judgement) -> Verdict | None:
    """Judge the credential that the node holds, or else the card's."""
    authentic, card, trust = case.authentic, case.card, case.trust
    assert authentic is not None
    as_of_s = trust.status_as_of_s
    if card is None:
        return check_credential(
            authentic, case.credential, case.status, case.policy, now=case.now,
            status_age_s=trust.status_age_s(case.now))
    listed, listed_s = _listed(case, card)
    case.carried = case.credential is None
    case.credential = case.credential or card.credential
    if case.carried:
        told_as_of_s, as_of_s = None, _carried_as_of(card, listed, listed_s)
        case.carried_as_of_s = as_of_s
    else:
        told_as_of_s = as_of_s
    status = newest_status(case.status, listed, listed_s, told_as_of_s)
    if case.status is None or case.status.status is not status:
        case.status = StatusRecord(
            credential_id=authentic.credential_id, status=status, changed_s=listed_s)
    found = check_credential(
        authentic, case.credential, case.status, case.policy, now=case.now,
        status_age_s=None if as_of_s is None else max(0, int(case.now) - as_of_s))
    if found is None and case.carried and listed is None and case.policy.cards == "with_status":
        return verdict(Reason.TRUST_STALE, Decision(case.policy.trust_stale))
    return found


def see(face: FaceEngine, images: Sequence[bytes], case: Judgement) -> Probe | ProbeFault:
    """Make the probe, in the card's space where it is to be compared there; for a worker."""
    probe = face.probe(images)
    authentic = case.authentic
    if isinstance(probe, ProbeFault) or not case.carried or authentic is None:
        return probe
    epoch = case.trust.keys.get(authentic.key_epoch)
    return probe_for_card(probe, epoch, authentic.credential_id) if epoch else probe


def to_compare(
    cache: CredentialCache, probe: Probe, case: Judgement
) -> tuple[ReferenceRecord | None, Probe]:
    """Give the holder's reference for a probe, and the probe in the same space."""
    if case.carried and case.card is not None:
        reference = case.card.reference
        return (reference if reference and reference.pack == probe.pack else None), probe
    assert case.credential is not None
    reference = cache.reference(case.credential.holder_id, probe.pack)
    return reference, cache.protect_probe(probe, reference)


def _listed(case: Judgement, card: Card) -> tuple[Status | None, int]:
    """Give what the card's status list says now, and since when that is true."""
    where = card.status
    found = case.trust.lists.get(where.uri) if where is not None else None
    if found is None or where is None:
        return None, 0
    return found.status(where.index, case.now), found.issued_s


def _carried_as_of(card: Card, listed: Status | None, listed_s: int) -> int:
    """Give when the issuer last said that the credential stands: in its list, or in the card."""
    return listed_s if listed is not None else card.credential.updated_s
