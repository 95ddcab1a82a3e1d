"""When the calls of a turn are answered: at once, or with others where turns gather."""

import asyncio
from types import SimpleNamespace

import pytest

from edge.pipeline.answer import Outcome
from edge.pipeline.together import GATHER_S, TURN_MAX, Asked, Together

BIT_S = 1e-4


class SetLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is set by hand."""

    now_s = 100.0

    def time(self) -> float:
        return self.now_s


class Desk:
    """Steps that say yes, and a journal that waits to be told: `turns` holds what it has."""

    def __init__(self, gather_s: float) -> None:
        self.loop = SetLoop()
        self.turns, self.told, self.noted, self.broken = [], {}, [], set()
        self.together = Together(self, self, None, self, lambda: 0.0, gather_s)

    def check(self) -> None:
        """Could always promise a record."""

    def judge(self, cases) -> None:
        """Finds nothing against anybody."""

    def records(self, cases):
        return [case.request_digest for case in cases]

    def keep(self, records, timings_ms, settled) -> None:
        self.turns.append((records, settled))

    def outcome(self, case, record, found) -> Outcome:
        if record in self.broken:
            raise RuntimeError("a fault of ours")
        return Outcome(found)

    def settle(self, key, outcome) -> None:
        self.noted.append((key, "settled"))

    def fail(self, key, error) -> None:
        self.noted.append((key, "failed"))

    def unmade(self, key, error) -> None:
        self.noted.append((key, "unmade"))

    def ask(self, *names: str) -> None:
        """Ask in one turn of the loop, and let it end."""
        async def turn() -> None:
            for name in names:
                case = SimpleNamespace(
                    request_digest=name, failed=None, timings_ms={}, mark=0.0)
                self.together.add(Asked(
                    case, 1.0, lambda found, name=name: self.told.__setitem__(name, found)))
            await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    def passes(self, seconds: float = 0.0) -> None:
        """Let time pass, and the loop do what is due."""
        self.loop.now_s += seconds
        for _ in range(2):
            self.loop.run_until_complete(asyncio.sleep(0))

    def answer(self, turn: int, found=None) -> None:
        """Have a turn's records durable."""
        records, settled = self.turns[turn]

        async def tell() -> None:
            settled(found or [b"yes"] * len(records))

        self.loop.run_until_complete(tell())

    @property
    def sizes(self) -> list[int]:
        return [len(records) for records, _ in self.turns]


@pytest.fixture
def desk():
    desk = Desk(GATHER_S)
    yield desk
    desk.loop.close()


def test_calls_of_one_turn_of_the_loop_are_answered_together(desk):
    desk.ask("a", "b", "c")
    assert desk.sizes == [3]
    desk.answer(0)
    assert desk.told == {name: Outcome(b"yes") for name in "abc"}


def test_without_gathering_the_next_turn_does_not_wait_for_the_one_before():
    desk = Desk(0.0)
    desk.ask("a")
    desk.ask("b")
    desk.ask("c", "d")
    assert desk.sizes == [1, 1, 2]
    desk.loop.close()


@pytest.mark.parametrize("waited_s,gone", [(-BIT_S, False), (BIT_S, True)])
def test_while_calls_are_settled_others_gather_for_a_bounded_time(desk, waited_s, gone):
    desk.ask("a")
    desk.ask("b")
    desk.passes(GATHER_S / 2)
    desk.ask("c")
    assert desk.sizes == [1]
    desk.passes(GATHER_S / 2 + waited_s)
    assert desk.sizes == ([1, 2] if gone else [1])


@pytest.mark.parametrize("since_s,waits", [(GATHER_S - BIT_S, True), (GATHER_S + BIT_S, False)])
def test_a_call_waits_only_where_others_were_there_a_moment_ago(desk, since_s, waits):
    desk.ask("a", "b")
    desk.answer(0)
    desk.passes(since_s)
    desk.ask("c")
    assert desk.sizes == ([2] if waits else [2, 1])


def test_a_full_turn_waits_for_nothing(desk):
    desk.ask("a")
    desk.ask(*(f"b{number}" for number in range(TURN_MAX - 1)))
    assert desk.sizes == [1]
    desk.ask("c", "d")
    assert desk.sizes == [1, TURN_MAX]


def test_a_turn_goes_when_all_are_back_that_were_under_way(desk):
    desk.ask("a", "b", "c")
    desk.answer(0)
    desk.ask("a", "b")
    assert desk.sizes == [3]
    desk.ask("c")
    desk.passes()
    assert desk.sizes == [3, 3]
    # Also if the last of them were only waited for.
    desk.ask("d", "e", "f")
    assert desk.sizes == [3, 3]
    desk.answer(1)
    desk.passes()
    assert desk.sizes == [3, 3, 3]


def test_those_who_went_away_are_waited_for_a_few_times_only(desk):
    desk.ask("a", "b", "c")
    waits = 0
    for turn in range(4):
        desk.answer(turn)
        desk.ask("a")
        desk.passes()
        if len(desk.turns) == turn + 1:
            waits += 1
            desk.passes(GATHER_S + BIT_S)
        assert len(desk.turns) == turn + 2
    assert waits == 2


def test_what_is_settled_of_a_turn_is_answered_and_the_rest_when_it_is(desk):
    desk.ask("a", "b")
    desk.answer(0, [None, b"yes"])
    assert desk.told == {"b": Outcome(b"yes")}
    desk.ask("c")
    assert desk.sizes == [2]
    desk.answer(0, [b"no", None])
    assert desk.told["a"] == Outcome(b"no")


def test_an_answer_that_cannot_be_made_is_noted_as_such_and_harms_no_other(desk):
    desk.broken = {"b"}
    desk.ask("a", "b", "c")
    desk.answer(0, [b"yes", b"yes", OSError("full")])
    assert dict(desk.noted) == {"a": "settled", "b": "unmade", "c": "failed"}
    assert [type(desk.told[name]) for name in "abc"] == [Outcome, RuntimeError, OSError]
    # It is settled all the same: nobody waits for it.
    desk.passes(GATHER_S + BIT_S)
    desk.ask("d")
    assert desk.sizes == [3, 1]
