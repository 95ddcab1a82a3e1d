"""What the node trusts now: keys, scenes, gates, and how fresh all of it is.

- One immutable object, replaced by a single assignment: whoever read it once judges by
  one view from beginning to end, without a lock.
- Updates are functional; only edge.sync makes them, after its rules have held.
- A time here is when the central platform said so, never when it arrived, and it
  moves only when nothing older is still to come: an age never flatters.
- Not here: credentials, references and status, which live in the store; and whether
  an age is acceptable, which is the scene policy's say.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.hotpath.keys import KeyRing
from edge.hotpath.statuslist import StatusList
from edge.protocol.feed import Change, DropPolicy, EpochsChanged, PutGate, PutPolicy
from edge.protocol.records import GateRecord, ScenePolicy

Mode = Literal["online", "offline"]


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent view of everything that verdicts rest on.

    Attributes:
        node_id: Who this node is to the central platform.
        log: The feed that it follows.
        keys: Derived keys by key epoch.
        policies: By scene.
        gates: By gate id; only those that may speak here now, so revoked gates and
            those of other nodes are absent.
        cursor: Number of the first change that isn't held yet.
        mode: Whether the central platform is in reach.
        keys_as_of_s: Unix seconds at which `keys` were known to be the newest; None = never.
        status_as_of_s: Unix seconds up to which every change of status is held; None = never.
        keys_pending: New key epochs were announced and aren't held yet.
        central_clock_skew_s: Central platform's clock minus this node's; None = unknown.
        central_clock_as_of_s: This node's clock when that was measured.
        card_keys: Who may sign cards; with none, cards aren't read.
        lists: Status lists held, by name.
    """

    node_id: str
    log: str
    keys: KeyRing
    policies: Mapping[str, ScenePolicy] = {}
    gates: Mapping[str, GateRecord] = {}
    cursor: int = 0
    mode: Mode = "offline"
    keys_as_of_s: int | None = None
    status_as_of_s: int | None = None
    keys_pending: bool = False
    central_clock_skew_s: float | None = None
    central_clock_as_of_s: float | None = None
    card_keys: tuple[Ed25519PublicKey, ...] = ()
    lists: Mapping[str, StatusList] = {}

    def keys_age_s(self, now: float) -> int | None:
        """Give the age of the keys in whole seconds, None if none were ever held."""
        return _age_s(self.keys_as_of_s, now)

    def status_age_s(self, now: float) -> int | None:
        """Give the age of the status in whole seconds, None before the first catch-up."""
        return _age_s(self.status_as_of_s, now)

    def with_changes(
        self, changes: Iterable[Change], *, cursor: int, head: int, issued_s: int
    ) -> "Trust":
        """Take over what a believed batch changes, and how fresh that makes the view.

        Args:
            changes: The batch's changes in order; those for the store are passed over.
            cursor: Number of the first change after them.
            head: How many changes the log held when the batch was issued.
            issued_s: Unix seconds at which it was issued.
        """
        policies, gates = dict(self.policies), dict(self.gates)
        pending = self.keys_pending
        for change in changes:
            if isinstance(change, PutPolicy):
                policies[change.policy.scene] = change.policy
            elif isinstance(change, DropPolicy):
                policies.pop(change.scene, None)
            elif isinstance(change, PutGate):
                gates[change.gate.gate_id] = change.gate
            elif isinstance(change, EpochsChanged):
                pending = True
        changed = msgspec.structs.replace(
            self, policies=policies, gates=usable_gates(gates.values(), self.node_id),
            cursor=cursor, keys_pending=pending,
        )
        return changed.with_heartbeat(issued_s) if cursor == head else changed

    def with_heartbeat(self, issued_s: int) -> "Trust":
        """Know at `issued_s` that nothing was missing; keys only if none are pending."""
        keys_known = self.keys_as_of_s is not None and not self.keys_pending
        return msgspec.structs.replace(
            self,
            status_as_of_s=_later(self.status_as_of_s, issued_s),
            keys_as_of_s=_later(self.keys_as_of_s, issued_s) if keys_known else self.keys_as_of_s,
        )

    def with_keys(self, keys: KeyRing, *, issued_s: int, pending: bool = False) -> "Trust":
        """Replace the key ring by what a believed delivery holds.

        Args:
            keys: The new ring.
            issued_s: Unix seconds at which the delivery was issued.
            pending: Newer epochs were announced and aren't in it.
        """
        return msgspec.structs.replace(
            self, keys=keys, keys_as_of_s=_later(self.keys_as_of_s, issued_s),
            keys_pending=pending,
        )

    def without_keys_before(self, key_epoch: int) -> "Trust":
        """Forget the key epochs before that day, which makes nothing fresher."""
        return msgspec.structs.replace(self, keys=self.keys.without_before(key_epoch))

    def with_card_keys(self, keys: tuple[Ed25519PublicKey, ...]) -> "Trust":
        """Say who may sign cards, by the newest root."""
        return msgspec.structs.replace(self, card_keys=keys)

    def with_lists(self, lists: Mapping[str, StatusList]) -> "Trust":
        """Take up the status lists that are held."""
        return msgspec.structs.replace(self, lists=lists)

    def with_mode(self, mode: Mode) -> "Trust":
        """Say whether the central platform is in reach."""
        return msgspec.structs.replace(self, mode=mode)

    def with_clock_skew(self, skew_s: float | None, as_of_s: float) -> "Trust":
        """Say how far the central platform's clock is from this node's, as measured then."""
        return msgspec.structs.replace(
            self, central_clock_skew_s=skew_s, central_clock_as_of_s=as_of_s)


def usable_gates(gates: Iterable[GateRecord], node_id: str) -> dict[str, GateRecord]:
    """Keep the gates that may speak at this node: not revoked, and its own or anybody's."""
    return {
        gate.gate_id: gate
        for gate in gates
        if not gate.revoked and gate.node_id in ("", node_id)
    }


def _age_s(as_of_s: int | None, now: float) -> int | None:
    return None if as_of_s is None else max(0, int(now) - as_of_s)


def _later(known_s: int | None, issued_s: int) -> int:
    return issued_s if known_s is None else max(known_s, issued_s)
