"""The replay guard: once, also after a kill, a reboot, a clock set back."""

import pytest

from edge.cache.guard import BUCKET_STEPS, LmdbReplayGuard
from edge.node_key import NodeKey

KEY = NodeKey(bytes([7] * 32))
ANN, BOB = bytes([1] * 16), bytes([2] * 16)
ONE, TWO = b"1" * 16, b"2" * 16
N = 400_000_000


@pytest.fixture
def open_guard(tmp_path):
    opened = []

    def open_(boot_id: bytes = b"boot-1", restart_floor: int = 0) -> LmdbReplayGuard:
        while opened:
            opened.pop().close()
        opened.append(LmdbReplayGuard(
            tmp_path / "guard", KEY.derive, boot_id=boot_id, restart_floor=restart_floor))
        return opened[-1]

    yield open_
    opened.pop().close()


def test_a_presentation_is_spent_once(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert not guard.spend(ANN, N, TWO, N)
    assert guard.spend(BOB, N, TWO, N)


def test_the_same_showing_is_not_a_second_one(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert guard.spend(ANN, N, ONE, N)
    assert not guard.spend(ANN, N - 1, ONE, N)


@pytest.mark.parametrize("offset,fresh", [(-1, False), (0, False), (1, True)])
def test_every_step_up_to_the_spent_one_is_spent(open_guard, offset, fresh):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    assert guard.spend(ANN, N + offset, TWO, N) is fresh


def test_a_restart_remembers(open_guard):
    assert open_guard().spend(ANN, N, ONE, N)
    guard = open_guard()
    assert not guard.spend(ANN, N, TWO, N)
    assert guard.spend(ANN, N, ONE, N)


def test_after_a_reboot_every_step_of_the_restarts_window_is_refused(open_guard):
    assert open_guard().spend(ANN, N, ONE, N)
    guard = open_guard(b"boot-2", restart_floor=N + 2)
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(BOB, N + 2, TWO, N + 2)
    assert guard.spend(BOB, N + 3, TWO, N + 3)


def test_what_is_forgotten_stays_refused_when_the_clock_is_set_back(open_guard):
    guard = open_guard()
    assert guard.spend(ANN, N, ONE, N)
    later = N + 3 * BUCKET_STEPS
    assert guard.spend(BOB, later, ONE, later)
    assert not guard.spend(ANN, N, TWO, N)
    assert not guard.spend(ANN, N + 1, TWO, N + 1)
    assert guard.floor >= N


def test_turning_a_bucket_forgets_nothing_of_the_window(open_guard):
    guard = open_guard()
    edge = (N // BUCKET_STEPS + 1) * BUCKET_STEPS
    assert guard.spend(ANN, edge - 1, ONE, edge - 1)
    assert guard.spend(BOB, edge + 1, ONE, edge)
    assert not guard.spend(ANN, edge - 1, TWO, edge)
    assert guard.spend(ANN, edge, TWO, edge)


def test_no_credential_id_is_on_disk(open_guard, tmp_path):
    open_guard().spend(bytes(range(60, 76)), N, ONE, N)
    open_guard()
    assert bytes(range(60, 76)) not in (tmp_path / "guard" / "data.mdb").read_bytes()
