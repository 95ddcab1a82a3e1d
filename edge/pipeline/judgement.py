"""What one verification gathers on its way, and the record it becomes."""

import time
from collections.abc import Iterable
from typing import Literal

import msgspec

from edge.hotpath.card import Card
from edge.hotpath.presentation import AuthenticPresentation, DriftWindow, check_presentation
from edge.hotpath.timing import ClockState
from edge.hotpath.trust import Trust
from edge.hotpath.verdict import Verdict
from edge.pipeline.calls import SceneForbidden, SceneUnknown, VerificationCall
from edge.pipeline.digests import body_digest, request_key
from edge.pipeline.ports import Reach, Scope
from edge.protocol.journal import Evidence, FaceEvidence, VerificationRecord
from edge.protocol.records import (
    CredentialRecord,
    GateRecord,
    ScenePolicy,
    Status,
    StatusRecord,
)

STEP_MAX = 2**32
"""A step has four bytes."""


class Judgement(msgspec.Struct, kw_only=True, gc=False):
    """The state of one verification; lives as long as its call."""

    verification_id: str
    gate: GateRecord
    scene: str
    request_digest: bytes
    body_digest: bytes
    policy: ScenePolicy
    trust: Trust
    now: float
    kind: Literal["verification", "capture", "identification"] = "verification"
    text: str = ""
    """The code, exactly as read."""
    found: Verdict | None = None
    """The verdict, once there is one."""
    failed: Exception | None = None
    """Why there is no verdict, if there is none."""
    challenge_id: str | None = None
    authentic: AuthenticPresentation | None = None
    expired: AuthenticPresentation | None = None
    credential: CredentialRecord | None = None
    status: StatusRecord | None = None
    card: Card | None = None
    carried: bool = False
    """The credential is known by its card only."""
    carried_as_of_s: int | None = None
    """When the status that a carried credential rests on was true."""
    replay_scope: Literal["node", "site"] | None = None
    """How far the code was spent; None = the site wasn't asked."""
    face: FaceEvidence | None = None
    why: str = ""
    actor: str = ""
    timings_ms: dict[str, float] = {}
    """By stage; cases that are judged together wait together and share it."""
    mark: float = 0.0

    def begin(self) -> None:
        """Start timing a stage."""
        self.mark = time.perf_counter()

    def end(self, stage: str) -> None:
        """Give a stage the time since `begin` or the stage before it."""
        now = time.perf_counter()
        self.timings_ms[stage] = (now - self.mark) * 1e3
        self.mark = now

    def insist(self) -> None:
        """Go on only if nothing failed.

        Raises:
            OperatingError: What failed.
        """
        if self.failed is not None:
            raise self.failed

    def keep_expired(self) -> None:
        """Take note of which code came too late, for the record only: nothing is judged by it."""
        window = DriftWindow(STEP_MAX, 0, self.policy.suites)
        found = check_presentation(self.text, self.now, self.trust.keys, window)
        self.expired = found if isinstance(found, AuthenticPresentation) else None

    def record(self, verdict: Verdict, clock: ClockState, guard: Reach) -> VerificationRecord:
        """Give the journal's record of a verdict."""
        authentic, credential = self.authentic or self.expired, self.credential
        accepted = verdict.decision == "accept"
        known = authentic or credential
        return VerificationRecord(
            verification_id=self.verification_id,
            kind=self.kind,
            at_ms=int(self.now * 1000), gate_id=self.gate.gate_id, scene=self.scene,
            request_digest=self.request_digest, body_digest=self.body_digest,
            # Not `.value`: a descriptor in Python, and this is the hot path.
            decision=verdict.decision._value_, reason=verdict.reason._value_,
            credential_id=known.credential_id if known else None,
            credential_type=credential.type if credential else "",
            credential_status=status_word(credential, self.status),
            suite=authentic.suite if authentic else None,
            step=authentic.step if authentic else None,
            evidence=self._evidence(clock, self._scope(accepted, guard)),
            face=self.face, why=self.why, actor=self.actor,
            disclosed=disclosed_fields(credential, self.policy) if accepted else (),
        )

    def _scope(self, accepted: bool, guard: Reach) -> Scope:
        """Say how far the code was spent, or would be now; an accept claims what it asked for."""
        if self.replay_scope is not None:
            return self.replay_scope
        return guard.scope if accepted or guard.site is None else guard.site.scope

    def _evidence(self, clock: ClockState, scope: Scope) -> Evidence:
        found = evidence_of(self.trust, self.now, clock, scope, self.credential, self.policy)
        if not self.carried:
            return found
        as_of_s = self.carried_as_of_s
        age_s = None if as_of_s is None else max(0, int(self.now) - as_of_s)
        return msgspec.structs.replace(found, source="card", status_age_s=age_s)


def undecided(cases: Iterable[Judgement]) -> list[Judgement]:
    """Give the cases that go on: no verdict yet, nothing failed."""
    return [case for case in cases if case.found is None and case.failed is None]


def case_of(
    call: VerificationCall, trust: Trust, policy: ScenePolicy, verification_id: str
) -> Judgement:
    """Begin the case of a verification."""
    images = (call.code_image,) if call.code_image is not None else ()
    text = call.presentation or ""
    return Judgement(
        verification_id=verification_id, gate=call.gate, scene=call.scene,
        request_digest=request_key(call.gate.gate_id, call.request_id),
        body_digest=body_digest(
            call.scene, text, call.challenge_id or "", images, call.face_images),
        policy=policy, trust=trust, now=0.0, text=text, actor=call.actor,
        challenge_id=call.challenge_id,
    )


def policy_of(trust: Trust, gate: GateRecord, scene: str) -> ScenePolicy:
    """Give the policy of a scene that a gate may name.

    Raises:
        CallError: This node has no such scene, or it isn't this gate's.
    """
    policy = trust.policies.get(scene)
    if policy is None:
        raise SceneUnknown("this node has no such scene")
    if scene not in gate.scenes:
        raise SceneForbidden("the scene isn't this gate's")
    return policy


def evidence_of(
    trust: Trust, now: float, clock: ClockState, scope: Scope,
    credential: CredentialRecord | None, policy: ScenePolicy,
) -> Evidence:
    """Say how fresh what a verdict at `now` (Unix seconds) rests on is."""
    updated = credential.updated_s if credential else 0
    return Evidence(
        mode=trust.mode, clock=clock, keys_age_s=trust.keys_age_s(now),
        status_age_s=trust.status_age_s(now),
        credential_age_s=max(0, int(now) - updated) if updated else None,
        policy_version=policy.version, replay_scope=scope,
    )


def status_word(credential: CredentialRecord | None, status: StatusRecord | None) -> str:
    """Give the status of a known credential in one word, empty for an unknown one."""
    if credential is None:
        return ""
    return (status.status if status else Status.VALID)._value_


def disclosed_fields(
    credential: CredentialRecord | None, policy: ScenePolicy
) -> tuple[str, ...]:
    """Name the fields that an accept shows."""
    if credential is None:
        return ()
    fields = credential.fields
    return tuple([item.field for item in policy.disclose if item.field in fields])
