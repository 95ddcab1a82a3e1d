"""Challenges: what the node asks a person to do, and whether a burst answers it.

- Actions are the node's own choice, by the system's randomness; at least one is a turn.
- A challenge belongs to one gate and one scene, lives for seconds and is spent by the first
  burst that names it, whatever comes of it.
- One that is unknown, another gate's, another scene's, spent or too old is the same to
  the gate: `challenge_expired`, and a fresh one is asked for. It never leads to an accept.
- In memory only and bounded, per gate too: after a restart a gate asks again.
- Not here: the judgement of movements (edge.hotpath.liveness).
"""

import random
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from edge.errors import CapacityError
from edge.hotpath.holder import Probe, ProbeFault
from edge.hotpath.liveness import (
    ACTION_WORDS,
    RETRIED,
    TURNS,
    Action,
    Finding,
    judge_challenge,
)
from edge.hotpath.reasons import Reason
from edge.pipeline.calls import ChallengeOff
from edge.protocol.records import ScenePolicy, Words

OPEN_MAX = 10_000
OPEN_PER_GATE_MAX = 64
ID_BYTES = 16


class ChallengeShown(msgspec.Struct, frozen=True):
    """A challenge as a gate gets it: actions in their order, each with its words."""

    challenge_id: str
    actions: tuple[Action, ...]
    words: tuple[Words, ...]
    expires_s: int


class _Open(msgspec.Struct, frozen=True):
    gate_id: str
    scene: str
    actions: tuple[Action, ...]
    until_s: float


class Challenges:
    """The challenges that may still be answered."""

    def __init__(self, monotonic: Callable[[], float], open_max: int = OPEN_MAX) -> None:
        """Begin with none."""
        self._monotonic, self._open_max = monotonic, open_max
        self._chance = random.SystemRandom()
        self._open: dict[str, _Open] = {}
        self._of_gate: Counter[str] = Counter()

    def __len__(self) -> int:
        """Count them, those whose time is up and that aren't forgotten yet included."""
        return len(self._open)

    def give(self, gate_id: str, policy: ScenePolicy) -> ChallengeShown:
        """Make a challenge for a gate and a scene.

        Raises:
            ChallengeOff: The scene has none.
            CapacityError: Too many are open.
        """
        if policy.challenge == "off" or policy.face == "off":
            raise ChallengeOff("this scene's policy asks for no challenge")
        now = self._monotonic()
        if self._is_full(gate_id):
            self._forget(now)
        if self._is_full(gate_id):
            raise CapacityError("too many challenges are open", policy.challenge_open_s)
        challenge_id = secrets.token_hex(ID_BYTES)
        actions = choose_actions(policy.challenge_actions, self._chance)
        self._open[challenge_id] = _Open(
            gate_id, policy.scene, actions, now + policy.challenge_open_s)
        self._of_gate[gate_id] += 1
        return ChallengeShown(challenge_id, actions,
                              tuple(ACTION_WORDS[action] for action in actions),
                              policy.challenge_open_s)

    def spend(
        self, challenge_id: str | None, gate_id: str, policy: ScenePolicy
    ) -> tuple[Action, ...] | ProbeFault:
        """Spend the challenge that a burst answers.

        Returns:
            Its actions, none where none is to be judged; or why the burst can't be judged.
        """
        if policy.challenge == "off":
            return ()
        if challenge_id is None:
            if policy.challenge == "required":
                return ProbeFault(Reason.CHALLENGE_EXPIRED, "challenge_missing")
            return ()
        item = self._open.get(challenge_id)
        if item is None or (item.gate_id, item.scene) != (gate_id, policy.scene):
            return ProbeFault(Reason.CHALLENGE_EXPIRED)
        self._drop(challenge_id)
        if item.until_s <= self._monotonic():
            return ProbeFault(Reason.CHALLENGE_EXPIRED)
        return item.actions

    def _is_full(self, gate_id: str) -> bool:
        return len(self._open) >= self._open_max or self._of_gate[gate_id] >= OPEN_PER_GATE_MAX

    def _forget(self, now: float) -> None:
        for challenge_id in [key for key, item in self._open.items() if item.until_s <= now]:
            self._drop(challenge_id)

    def _drop(self, challenge_id: str) -> None:
        gate_id = self._open.pop(challenge_id).gate_id
        self._of_gate[gate_id] -= 1
        if not self._of_gate[gate_id]:
            del self._of_gate[gate_id]


def choose_actions(count: int, chance: Random) -> tuple[Action, ...]:
    """Choose different actions in an order, at least one of them a turn."""
    turn = chance.choice(TURNS)
    others = [action for action in Action if action is not turn]
    chosen = [turn, *chance.sample(others, count - 1)]
    chance.shuffle(chosen)
    return tuple(chosen)


def answer_challenge(
    probe: Probe | ProbeFault, actions: Sequence[Action]
) -> Probe | ProbeFault:
    """Judge a probe's movements; without actions it stays as it is."""
    if not actions or isinstance(probe, ProbeFault):
        return probe
    finding = judge_challenge(actions, probe.track)
    if finding in RETRIED:
        return ProbeFault(Reason.CHALLENGE_EXPIRED, finding.value)
    checks = {**probe.checks, "challenge": finding is Finding.MET}
    return msgspec.structs.replace(probe, checks=checks)
