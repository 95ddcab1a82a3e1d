"""How far a clock is believed: set both ways, over a restart, against witnesses."""

import struct

import pytest

from edge.clock.codes import SPREAD_S_MAX, VOTE_S_MAX, VOTES_MAX, VOTES_MIN, Codes
from edge.clock.judge import (
    CENTRAL_S_MAX,
    FAR_S,
    KERNEL_S_MAX,
    LEAP_S,
    Memory,
    Sighting,
    Word,
    look,
)
from edge.clock.kept import FILE, WORD_FILE, Given, keep_word
from edge.clock.kernel import (
    STA_UNSYNC,
    TIME_ERROR,
    KernelTime,
    parse_timex,
    read_boot_id,
    read_kernel,
)
from tests.clock.machine import ALONE, IN_STEP, NOON, Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_kernel_alone_vouches_and_nobody_means_degraded(machine):
    clock = machine.clock()
    assert clock.state == "degraded"
    assert "nobody vouches" in clock.detail().why
    machine.kernel = IN_STEP
    machine.passes(10)
    assert clock.state == "trusted"
    assert clock.detail().vouched_by == ("the kernel",)
    machine.kernel = KernelTime(synchronised=True, error_s_max=KERNEL_S_MAX + 0.1)
    machine.passes(10)
    assert clock.state == "degraded"


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0, 3.0, -3.0])
def test_a_clock_that_is_set_is_seen_before_the_next_verdict(machine, seconds):
    clock = machine.clock()
    assert clock.state == "degraded"
    machine.is_set(seconds)
    assert clock.state == "untrusted"
    assert ("forward" if seconds > 0 else "back") in clock.detail().why
    # Waiting doesn't make it right, not even for a month.
    for _ in range(30):
        machine.passes(86_400)
        assert clock.state == "untrusted"
    machine.is_set(-seconds)
    assert clock.state == "degraded"


@pytest.mark.parametrize("leap,state", [
    (LEAP_S - 0.1, "degraded"), (LEAP_S + 0.1, "untrusted"), (-LEAP_S - 0.1, "untrusted")])
def test_the_least_leap_that_is_one(machine, leap, state):
    clock = machine.clock()
    assert clock.state == "degraded"
    machine.is_set(leap)
    machine.passes(0.3)
    assert clock.state == state


def test_many_small_steps_add_up(machine):
    clock = machine.clock()
    assert clock.state == "degraded"
    for _ in range(2):
        machine.passes(60)
        machine.wall += 0.45
        assert clock.state == "degraded"
    machine.passes(60)
    machine.wall += 0.45
    assert clock.state == "untrusted"
    assert clock.detail().leap_s == 1.35


@pytest.mark.parametrize("seconds", [7_200.0, -7_200.0])
def test_a_restart_within_the_same_boot_sees_a_clock_set_meanwhile_both_ways(machine, seconds):
    clock = machine.clock()
    clock.look()
    clock.keep()
    machine.passes(30)
    machine.is_set(seconds)
    again = machine.clock()
    assert again.state == "untrusted"
    again.keep()
    assert machine.clock().state == "untrusted"
    machine.is_set(-seconds)
    assert machine.clock().state == "degraded"


def test_a_reboot_with_the_clock_set_back_is_noticed_by_the_highest_time_seen(machine):
    clock = machine.clock()
    clock.look()
    clock.keep()
    machine.reboots()
    machine.is_set(-86_400)
    again = machine.clock()
    assert again.state == "untrusted"
    assert "behind a time seen before" in again.detail().why
    assert again.highest_s == NOON
    machine.is_set(86_400)
    machine.passes(1)
    assert machine.clock().state == "degraded"


def test_somebody_who_vouches_ends_every_doubt_about_the_past(machine):
    clock = machine.clock()
    clock.look()
    machine.is_set(-3_600)
    assert clock.state == "untrusted"
    machine.kernel = IN_STEP
    machine.passes(10)
    assert clock.state == "trusted"
    # The time before was the wrong one: it is no bar any more.
    assert clock.highest_s == machine.wall
    machine.kernel = ALONE
    machine.passes(10)
    assert clock.state == "degraded"


def test_the_platforms_word_outlives_a_leap_and_fades_with_time(machine):
    clock = machine.clock()
    clock.heard_central(0.5)
    assert clock.state == "trusted"
    machine.is_set(30)
    assert clock.state == "untrusted"
    assert clock.detail().central_skew_s == -29.5
    machine.is_set(-29.5)
    assert clock.state == "trusted"
    machine.passes(3 * 3_600)
    assert clock.state == "trusted"
    machine.passes(6 * 3_600)
    assert clock.state == "degraded"


@pytest.mark.parametrize("off,state", [
    (CENTRAL_S_MAX, "trusted"), (CENTRAL_S_MAX + 0.1, "degraded"), (FAR_S, "degraded"),
    (FAR_S + 0.1, "untrusted"), (-FAR_S - 0.1, "untrusted")])
def test_the_platform_vouches_is_silent_or_contradicts(machine, off, state):
    clock = machine.clock()
    clock.heard_central(off)
    assert clock.state == state


def test_witnesses_who_disagree_degrade_and_never_more(machine):
    machine.kernel = IN_STEP
    clock = machine.clock()
    clock.heard_central(600.0)
    assert clock.state == "degraded"
    assert "600 s behind" in clock.detail().why


def test_a_measurement_that_failed_changes_nothing(machine):
    clock = machine.clock()
    clock.heard_central(0.0)
    clock.heard_central(None)
    assert clock.state == "trusted"


def test_codes_of_many_holders_vouch_and_one_holder_counts_once(machine):
    clock = machine.clock()
    machine.show_codes(clock, VOTES_MIN - 1)
    for _ in range(50):
        machine.passes(5)
        machine.show_codes(clock, 1)
    assert clock.state == "degraded"
    assert clock.detail().codes == VOTES_MIN - 1
    machine.show_codes(clock, VOTES_MIN)
    machine.passes(1)
    assert clock.state == "trusted"
    assert clock.detail().vouched_by == ("the codes of holders",)


def test_codes_of_many_holders_show_that_a_clock_is_wrong(machine):
    clock = machine.clock()
    machine.show_codes(clock, VOTES_MIN, late_s=-600)
    machine.passes(1)
    assert clock.state == "untrusted"
    assert "by the codes of holders it is" in clock.detail().why


def test_a_minority_cannot_move_what_the_codes_say():
    honest, liars = 21, 10
    codes = Codes()
    for number in range(honest):
        codes.saw(bytes([1, number]), 1_000, 5_000.0 + number % 5)
    alone = codes.word(5_010.0)
    for number in range(liars):
        codes.saw(bytes([2, number]), 1_000 + 10**6, 5_000.0)
    word = codes.word(5_010.0)
    assert word is None or abs(word.offset_s - alone.offset_s) <= 5.0


def test_codes_that_disagree_say_nothing():
    codes = Codes()
    for number in range(VOTES_MIN * 2):
        codes.saw(bytes([number]), 1_000 + number * 10, 5_000.0)
    assert SPREAD_S_MAX < 10 * 5 * VOTES_MIN
    assert codes.word(5_000.0) is None


def test_an_older_code_shown_again_does_not_replace_a_vote():
    codes = Codes()
    for number in range(VOTES_MIN):
        codes.saw(bytes([number]), 1_000, 5_000.0)
    before = codes.word(5_000.0)
    for number in range(VOTES_MIN):
        codes.saw(bytes([number]), 1_000, 5_600.0)
        codes.saw(bytes([number]), 900, 5_600.0)
    assert codes.word(5_600.0).offset_s == before.offset_s


def test_votes_end_and_are_bounded():
    codes = Codes()
    for number in range(VOTES_MAX + 40):
        codes.saw(number.to_bytes(16, "big"), 1_000, 5_000.0)
    assert len(codes) == VOTES_MAX
    assert codes.word(5_000.0 + VOTE_S_MAX) is not None
    assert codes.word(5_000.0 + VOTE_S_MAX + 1) is None
    assert len(codes) == 0


def test_without_memory_of_what_was_spent_nothing_is_judged_before_somebody_vouches(machine):
    clock = machine.clock()
    clock.recover()
    clock.keep()
    assert clock.state == "untrusted"
    machine.passes(1)
    again = machine.clock()
    assert again.state == "untrusted"
    assert "spent before the restart" in again.detail().why
    machine.kernel = IN_STEP
    machine.passes(10)
    assert again.state == "trusted"
    machine.kernel = ALONE
    machine.passes(10)
    assert again.state == "degraded"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"highest_s": "x"}'])
def test_a_damaged_memory_is_a_clock_without_a_past(machine, content):
    (machine.folder / FILE).write_bytes(content)
    assert machine.clock().state == "degraded"


def test_what_is_wrong_is_never_remembered_as_the_highest_time():
    memory, belief = look(Memory(), Sighting(wall_s=100.0, anchor_s=50.0))
    memory, belief = look(memory, Sighting(wall_s=9_000.0, anchor_s=51.0))
    assert (belief.state, memory.highest_s) == ("untrusted", 100.0)
    memory, belief = look(memory, Sighting(
        wall_s=9_001.0, anchor_s=52.0, central=Word(8_949.0, 52.0)))
    assert (belief.state, memory.highest_s) == ("trusted", 9_001.0)


def test_adjtimex_is_read_as_the_kernel_writes_it():
    def timex(status: int) -> bytes:
        return struct.pack("<I4x4qi", 0, 0, 0, 12_500, 900, status) + bytes(200)

    held = parse_timex(0, timex(0x2001))
    assert (held.synchronised, held.error_s_max, held.error_s) == (True, 0.0125, 0.0009)
    assert not parse_timex(0, timex(STA_UNSYNC)).synchronised
    assert not parse_timex(TIME_ERROR, timex(0)).synchronised
    assert not parse_timex(-1, timex(0)).synchronised
    here = read_kernel()
    assert 0.0 <= here.error_s_max < 1e6
    assert isinstance(here.synchronised, bool)


def test_a_machine_without_a_boot_id_has_no_past_of_its_anchor(tmp_path):
    assert read_boot_id(tmp_path / "none") == ""
    machine = Machine(tmp_path)
    machine.boot = ""
    clock = machine.clock()
    clock.look()
    clock.keep()
    machine.is_set(86_400)
    assert machine.clock().state == "degraded"
    machine.is_set(-2 * 86_400)
    assert machine.clock().state == "untrusted"


def test_an_administrators_word_frees_a_node_that_has_no_other_witness(machine):
    clock = machine.clock()
    clock.recover()
    assert clock.state == "untrusted"
    keep_word(machine.folder, Given(
        boot_id=machine.boot, word=Word(machine.wall - machine.anchor, machine.anchor, 2.0)))
    machine.passes(10)
    assert clock.state == "trusted"
    assert clock.detail().vouched_by == ("an administrator",)
    # It is a word about this clock as it went on, not about any time it is set to.
    machine.is_set(60)
    assert clock.state == "untrusted"
    machine.is_set(-60)
    # It fades as the quartz may drift, and ends with the machine's run.
    assert clock.state == "trusted"
    machine.passes(9 * 3600)
    assert clock.state == "degraded"
    machine.reboots()
    again = machine.clock()
    assert "an administrator" not in again.detail().vouched_by


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"boot_id":"boot-1","word":[1]}'])
def test_a_damaged_word_is_none(machine, content):
    (machine.folder / WORD_FILE).write_bytes(content)
    assert machine.clock().state == "degraded"


def test_a_damaged_word_is_said_once_as_long_as_it_stays_the_same(machine, caplog):
    def said():
        return sum(record.message == "clock.memory_lost" for record in caplog.records)

    path = machine.folder / WORD_FILE
    path.write_bytes(b"{}")
    clock = machine.clock()
    for _ in range(5):
        clock.look()
        machine.passes(10)
    assert said() == 1
    path.write_bytes(b"{ }")
    for _ in range(3):
        clock.look()
        machine.passes(10)
    assert said() == 2
    # A good one is heard as ever, and damaged again it is said again.
    keep_word(machine.folder, Given(
        boot_id=machine.boot, word=Word(machine.wall - machine.anchor, machine.anchor, 2.0)))
    machine.passes(10)
    assert clock.detail().vouched_by == ("an administrator",)
    path.write_bytes(b"{}")
    machine.passes(10)
    clock.look()
    assert said() == 3
