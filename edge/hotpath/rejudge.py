"""A past answer under another policy: what it would have been, or what can't be known.

- From the evidence of its record, by the functions that judge live, in the order of a verification.
- What wasn't looked at then isn't guessed: the answer is what is missing.
- With the policy of that time at hand more is known: a part of it that didn't change decides as it
  did.
- Not here: replays, and what follows an answer that changed (edge.hotpath.dryrun).
"""

from edge.hotpath.credential import check_credential, check_standing
from edge.hotpath.past import Missing, Past, recorded
from edge.hotpath.past_face import judge_face, judge_search
from edge.hotpath.presentation import AuthenticPresentation, check_step
from edge.hotpath.reasons import REASONS, Reason, Stage
from edge.hotpath.timing import window_of
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.kh1 import SUITE_SEALED, SUITES, key_epoch_of
from edge.protocol.records import CredentialRecord, Status, StatusRecord

CODE_FIELDS = ("suites", "steps_back", "steps_ahead", "clock_degraded")


def rejudge(past: Past) -> Verdict | Missing:
    """Judge one record anew, as if its credential hadn't been shown anywhere else."""
    record = past.record
    if record.kind == "decision":
        return _operator(past)
    if record.kind == "identification":
        return _identification(past)
    if REASONS[past.reason].stage is Stage.CAPTURE and record.credential_id is None:
        return recorded(past)  # no code was read
    found = None if record.kind == "capture" else _code(past)
    found = found or _credential(past)
    if found is not None:
        return found
    if past.reason is Reason.PRESENTATION_REPLAYED:
        return recorded(past)
    return judge_face(past)


def _code(past: Past) -> Verdict | Missing | None:
    """1. Form, authenticity and time, as far as the policy has a say in them."""
    record, policy = past.record, past.policy
    window = window_of(policy, record.evidence.clock)
    if isinstance(window, Verdict):
        return window
    reason = past.reason
    if reason is Reason.CLOCK_UNTRUSTED:
        return Missing.CODE
    before = None if past.before is None else set(past.before.suites)
    if record.credential_id is None:
        return _unknown_code(past, before)
    assert record.suite is not None and record.step is not None, "a genuine code"
    if record.suite not in policy.suites:
        return verdict(Reason.MALFORMED)
    found = check_step(record.step, past.now, window)
    if found is None and reason is Reason.STEP_EXPIRED:
        return Missing.CREDENTIAL
    return found


def _unknown_code(past: Past, before: set[int] | None) -> Verdict | Missing:
    """A code of which nothing but the reason is recorded."""
    suites = set(past.policy.suites)
    if past.unchanged(*CODE_FIELDS):
        return recorded(past)
    if past.reason is Reason.MALFORMED:
        return recorded(past) if before is not None and suites <= before else Missing.SUITE
    if not (before or set(SUITES)) <= suites:
        return Missing.SUITE  # refused whatever it is: as malformed, or for what it was
    if past.reason is not Reason.STEP_FUTURE:
        return recorded(past)
    narrower = past.before is not None and past.policy.steps_ahead <= past.before.steps_ahead and (
        past.record.evidence.clock == "trusted" or past.unchanged("clock_degraded"))
    return recorded(past) if narrower else Missing.STEP


def _credential(past: Past) -> Verdict | Missing | None:
    """2. The credential stands and is accepted."""
    record, policy, reason = past.record, past.policy, past.reason
    carried = record.evidence.source == "card"
    if reason is Reason.CARD_MISMATCH:
        return Missing.CREDENTIAL if policy.cards == "off" else recorded(past)
    unread = record.suite == SUITE_SEALED and policy.cards != "off" and not carried and (
        past.before is None or past.before.cards == "off")
    if unread:
        return Missing.CARD  # a false one would be refused, a true one might speak
    if reason is Reason.CREDENTIAL_UNKNOWN:
        return recorded(past)
    if carried and policy.cards == "off":
        return verdict(Reason.CREDENTIAL_UNKNOWN)
    authentic, credential, status = _held(past)
    found = check_credential(
        authentic, credential, status, policy, now=past.now,
        status_age_s=record.evidence.status_age_s)
    if found is not None or not carried or policy.cards == "without_status":
        return found
    if reason is Reason.TRUST_STALE:
        return recorded(past) if past.unchanged("trust_age_max_s", "cards") else Missing.STATUS
    passed = REASONS[reason].stage is not Stage.CREDENTIAL
    listed = passed and past.before is not None and past.before.cards == "with_status"
    return None if listed else Missing.STATUS


def _held(past: Past) -> tuple[AuthenticPresentation, CredentialRecord, StatusRecord | None]:
    """Give code, credential and status again, as far as a rule of the policy asks for them."""
    record = past.record
    assert record.credential_id is not None
    step = record.step or 0
    expired = past.reason is Reason.CREDENTIAL_EXPIRED
    credential = CredentialRecord(
        credential_id=record.credential_id, holder_id=bytes(16), type=record.credential_type,
        valid_from_s=0, valid_until_s=0 if expired else None, fields={})
    status = None
    if record.credential_status:
        status = StatusRecord(credential_id=record.credential_id, changed_s=0,
                              status=Status(record.credential_status))
    authentic = AuthenticPresentation(
        record.suite or 0, key_epoch_of(step), step, record.credential_id)
    return authentic, credential, status


def _operator(past: Past) -> Verdict:
    """Judge a person's decision: whoever accepts can't outvote what is known."""
    if past.reason is Reason.OPERATOR_REJECTED or past.record.credential_id is None:
        return recorded(past)
    if not past.record.credential_type:
        return recorded(past)  # nothing is held of it but, perhaps, a status
    _, credential, status = _held(past)
    found = check_standing(credential, status, past.policy, now=past.now)
    return found or verdict(Reason.OPERATOR_ACCEPTED)


def _identification(past: Past) -> Verdict | Missing:
    """Judge a face without a code, and the credential that spoke for whom it named."""
    record, policy, reason = past.record, past.policy, past.reason
    if policy.identification == "off":
        return Missing.SHOWN
    window = window_of(policy, record.evidence.clock)
    if isinstance(window, Verdict):
        return window
    if reason is Reason.CLOCK_UNTRUSTED:
        return Missing.FACE
    found = judge_search(past)
    if isinstance(found, Missing) or found.reason is not Reason.OK:
        return found
    if record.credential_id is None or record.credential_type not in policy.accepts:
        # Of the others that the holder may have nothing is recorded.
        return recorded(past) if past.unchanged("accepts") and record.credential_id is None and (
            REASONS[reason].stage is Stage.CREDENTIAL) else Missing.CREDENTIAL
    authentic, credential, status = _held(past)
    stands = check_credential(authentic, credential, status, policy, now=past.now,
                              status_age_s=record.evidence.status_age_s)
    return stands or verdict(Reason.OK)
