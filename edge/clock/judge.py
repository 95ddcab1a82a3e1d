"""Whether a clock can be believed: a state machine, values in and state out.

- Two clocks are compared: the wall clock, which whoever has the machine may set, and an anchor,
  which nobody sets. What keeps a clock in step speeds both up or down alike (Linux corrects
  CLOCK_BOOTTIME too, steps apart), so their difference stays; where it doesn't, the clock was set.
- Witnesses vouch for the wall clock or contradict it: the kernel, the central platform's time,
  the codes of many holders, a person with a watch. Each is kept against the anchor, so a word
  from before a leap still counts after it; its uncertainty grows with its age.
- vouched and undoubted → trusted; vouched and doubted → degraded; neither → degraded;
  doubted and not vouched → untrusted. The table `_STATES` is all of it.
- Pure: no clock is read here.
"""

from typing import Literal

import msgspec

from edge.clock.kernel import KernelTime

State = Literal["trusted", "degraded", "untrusted"]
CENTRAL_S_MAX = 2.0
"""Furthest from the platform's time at which it vouches."""
KERNEL_S_MAX = 2.0
"""Largest `maxerror` at which the kernel vouches."""
CODES_S_MAX = 5.0
"""Furthest from the median of the codes at which they vouch: one step."""
PERSON_S_MAX = 5.0
"""Furthest from a person's word, its own error counted in, at which it vouches."""
FAR_S = 10.0
"""From here on a witness contradicts in earnest: two steps, wider than a window."""
LEAP_S = 1.0
"""The wall clock may be this far from the anchor, all steps together; a leap second is one."""
DRIFT_PPM = 100.0
"""By how much a witness' word becomes less sure with its age: a poor quartz."""
BACK_S = 2.0
"""How far behind the highest time seen a clock may be at a start."""


class Word(msgspec.Struct, frozen=True):
    """What a witness said of the true time.

    Attributes:
        offset_s: True time minus anchor.
        at_s: The anchor when it was said.
        error_s: How far it may have been off then.
    """

    offset_s: float
    at_s: float
    error_s: float = 0.0


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known at one moment; `wall_s` and `anchor_s` were read together."""

    wall_s: float
    anchor_s: float
    kernel: KernelTime = KernelTime()
    central: Word | None = None
    codes: Word | None = None
    person: Word | None = None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept from look to look, and over a restart.

    Attributes:
        boot_id: The machine's run that `offset_s` belongs to.
        offset_s: Wall clock minus anchor as last vouched for, or as first seen in this run; None =
            not known.
        highest_s: Highest wall time that was ever believed.
        unvouched: Nothing may be judged before somebody vouches.
    """

    boot_id: str = ""
    offset_s: float | None = None
    highest_s: float = 0.0
    unvouched: bool = False


class Belief(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a look.

    Attributes:
        state: How far the wall clock can be believed.
        vouched_by: Witnesses for it.
        doubts: What speaks against it, in words.
        leap_s: How far the wall clock is from where the anchor would have it.
    """

    state: State
    vouched_by: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    leap_s: float = 0.0

    @property
    def why(self) -> str:
        """Say in a sentence why the state is what it is."""
        for_it = f"vouched for by {', '.join(self.vouched_by)}" if self.vouched_by else (
            "nobody vouches for it")
        return "; ".join([*self.doubts, for_it])


_STATES: dict[tuple[bool, bool], State] = {
    (True, False): "trusted", (True, True): "degraded",
    (False, False): "degraded", (False, True): "untrusted",
}
"""By: vouched for, doubted."""


def resume(kept: Memory, boot_id: str, *, guard_forgot: bool = False) -> Memory:
    """Take up the memory of the run before.

    Args:
        kept: As it was put down; an empty one at the first start.
        boot_id: Of the machine's present run; the anchor counts within one only.
        guard_forgot: What was spent isn't remembered, so nothing is judged before the clock is
            vouched for (KH1, "Spent once").
    """
    same = bool(boot_id) and kept.boot_id == boot_id
    return msgspec.structs.replace(
        kept, boot_id=boot_id, offset_s=kept.offset_s if same else None,
        unvouched=kept.unvouched or guard_forgot)


def look(memory: Memory, sight: Sighting) -> tuple[Memory, Belief]:
    """Judge the wall clock at one moment; give what to remember and what to believe."""
    vouched, against = _witnesses(sight)
    offset = sight.wall_s - sight.anchor_s
    leap = 0.0 if memory.offset_s is None else offset - memory.offset_s
    # A witness for the present time settles how it came to be so, not what other witnesses say.
    doubts = against if vouched else [*_past(memory, sight, leap), *against]
    state = _STATES[bool(vouched), bool(doubts)]
    belief = Belief(
        state=state, vouched_by=tuple(vouched), doubts=tuple(doubts), leap_s=round(leap, 3))
    if state == "untrusted":
        # What was believed before stays the measure: set right again, the clock is what it was.
        return memory, belief
    if vouched:
        return msgspec.structs.replace(
            memory, offset_s=offset, unvouched=False, highest_s=sight.wall_s), belief
    return msgspec.structs.replace(
        memory, offset_s=offset if memory.offset_s is None else memory.offset_s,
        highest_s=max(memory.highest_s, sight.wall_s)), belief


def _past(memory: Memory, sight: Sighting, leap: float) -> list[str]:
    """Give what the past says against the wall clock."""
    doubts: list[str] = []
    if memory.unvouched:
        doubts.append("what was spent before the restart isn't known")
    behind = memory.highest_s - sight.wall_s
    if behind > BACK_S:
        doubts.append(f"it is {behind:.0f} s behind a time seen before")
    if abs(leap) > LEAP_S:
        doubts.append(f"it was set {'forward' if leap > 0 else 'back'} by {abs(leap):.1f} s")
    return doubts


def _witnesses(sight: Sighting) -> tuple[list[str], list[str]]:
    """Give who vouches, and what others say against it."""
    vouched: list[str] = []
    doubts: list[str] = []
    kernel = sight.kernel
    if kernel.synchronised and kernel.error_s_max <= KERNEL_S_MAX:
        vouched.append("the kernel")
    for name, word, near_s in (
        ("the central platform", sight.central, CENTRAL_S_MAX),
        ("the codes of holders", sight.codes, CODES_S_MAX),
        ("an administrator", sight.person, PERSON_S_MAX),
    ):
        if word is None:
            continue
        ahead = sight.wall_s - (word.offset_s + sight.anchor_s)
        unsure = word.error_s + max(0.0, sight.anchor_s - word.at_s) * DRIFT_PPM * 1e-6
        if abs(ahead) + unsure <= near_s:
            vouched.append(name)
        elif abs(ahead) - unsure > FAR_S:
            side = "ahead" if ahead > 0 else "behind"
            doubts.append(f"by {name} it is {abs(ahead):.0f} s {side}")
    return vouched, doubts
