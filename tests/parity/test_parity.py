"""One rule set: online, offline and at the platform the same, but for what can't be known there.

- `KANHE_PARITY_CASES` (default 2,400) and `KANHE_PARITY_SEED` make it longer, or another.
"""

import asyncio
import itertools
import os
from collections import Counter

import msgspec
import pytest

from edge.hotpath.reasons import Reason
from tests.parity.cases import Case, Generator
from tests.parity.city import build_city
from tests.parity.explain import TABLE, explain, views
from tests.parity.judges import Judges, Said

CASES = int(os.environ.get("KANHE_PARITY_CASES", "2400"))
SEED = int(os.environ.get("KANHE_PARITY_SEED", "11"))
A_WATCH = 75
SHOWN_MAX = 5
REACHED = set(Reason) - {
    # No frame is read, no challenge is given, nobody is identified, no operator decides here.
    Reason.CODE_UNREADABLE, Reason.CODES_MULTIPLE, Reason.CHALLENGE_FAILED, Reason.NOBODY,
    Reason.OPERATOR_ACCEPTED, Reason.OPERATOR_REJECTED,
}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = asyncio.run(build_city(tmp_path_factory.mktemp("city"), SEED))
    yield city
    asyncio.run(city.database.stop())


class Findings:
    """What a run found."""

    def __init__(self) -> None:
        self.cases = 0
        self.explained: Counter[tuple[str, str]] = Counter()
        self.unexplained: list[str] = []
        self.reasons: dict[str, Counter[str]] = {}

    def add(self, case: Case, known, answers: dict[str, Said]) -> None:
        self.cases += 1
        for name, said in answers.items():
            self.reasons.setdefault(name, Counter())[said[1] or said[0]] += 1
        for one, other in itertools.combinations(answers, 2):
            if answers[one] == answers[other]:
                continue
            row = explain(known[one], answers[one], known[other], answers[other])
            if row is not None:
                self.explained[row, f"{one}/{other}"] += 1
            else:
                self.unexplained.append(
                    f"{one} says {answers[one]}, {other} says {answers[other]}\n  {case}\n"
                    f"  {known[one]}\n  {known[other]}")


async def run(city, judges: Judges, count: int, *, to_first: bool = False) -> Findings:
    generator, findings = Generator(city, SEED), Findings()
    for number, watch in enumerate(generator.watches(-(-count // A_WATCH))):
        judges.watch(watch)
        cases = generator.cases(watch, number * A_WATCH, A_WATCH)
        for name, node in judges.nodes.items():
            await node.judge([case for case in cases if name in case.shown_before])
        known = [views(city, judges, case) for case in cases]
        said = {name: await node.judge(cases) for name, node in judges.nodes.items()}
        said["platform"] = await judges.platform.judge(cases)
        for place, case in enumerate(cases):
            findings.add(case, known[place], {name: said[name][place] for name in said})
        if to_first and findings.unexplained:
            break
    return findings


async def test_every_difference_is_one_that_cannot_be_known(city, tmp_path):
    judges = Judges(tmp_path, city)
    try:
        findings = await run(city, judges, CASES)
    finally:
        judges.close()
    assert not findings.unexplained, (
        f"{len(findings.unexplained)} differences that nothing explains (seed {SEED}):\n"
        + "\n".join(findings.unexplained[:SHOWN_MAX]))
    assert findings.cases >= CASES
    # A table of explanations that never occur, or cases that reach no rule, would prove nothing.
    assert {row for row, _ in findings.explained} == {row.name for row in TABLE}
    reached = set().union(*findings.reasons.values())
    assert {reason.value for reason in REACHED} <= reached
    assert {"403", "404"} <= reached


def wider_window(node) -> None:
    """A rule of its own: one step more."""
    node.trust = msgspec.structs.replace(node.trust, policies={
        scene: msgspec.structs.replace(policy, steps_back=policy.steps_back + 1)
        for scene, policy in node.trust.policies.items()})


def forgiving_guard(node) -> None:
    """Never sees a code twice."""
    node.guard.spend_all = lambda spends, _: [True] * len(spends)


def blind_to_status(node) -> None:
    """Takes what is withdrawn for valid."""
    standings = node.store.standings
    node.store.standings = lambda ids: [(found[0], None) for found in standings(ids)]


def generous_threshold(node) -> None:
    """Matches whoever comes."""
    rates = node.verifier._holder._rates
    rates._sources = [
        (maker, [msgspec.structs.replace(point, threshold=-1.0) for point in points])
        for maker, points in rates._sources]


@pytest.mark.parametrize(
    "tamper", [wider_window, forgiving_guard, blind_to_status, generous_threshold])
async def test_a_node_with_a_rule_of_its_own_is_found_out(city, tmp_path, tamper):
    judges = Judges(tmp_path, city, tamper)
    try:
        findings = await run(city, judges, CASES, to_first=True)
    finally:
        judges.close()
    assert findings.unexplained
