"""A dry run says what a node with the new policies really says, or that it can't be known."""

import asyncio
import os
import random
from collections import Counter

import msgspec
import pytest

from edge.hotpath.dryrun import DryRun
from edge.hotpath.past import Missing
from edge.protocol.journal import VerificationRecord, decode_record
from edge.protocol.kh1 import SUITES
from tests.fakes.ports import PACK
from tests.parity.cases import POINTS, Generator
from tests.parity.city import TYPES, build_city
from tests.parity.judges import Judges
from tests.parity.test_parity import A_WATCH, SEED

CASES = int(os.environ.get("KANHE_PARITY_CASES", "900"))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    city = asyncio.run(build_city(tmp_path_factory.mktemp("city"), SEED))
    yield city
    asyncio.run(city.database.stop())


def otherwise(rng: random.Random, policy):
    """Another policy for the scene: one to four fields of it."""
    every = {
        "accepts": tuple(rng.sample(TYPES, 3)), "suites": rng.choice((SUITES, SUITES[:2])),
        "steps_back": rng.choice((0, 1, 4)), "steps_ahead": rng.choice((0, 1, 3)),
        "face": rng.choice(("off", "required")), "fmr_max": rng.choice((1e-2, 1e-3, 1e-5)),
        "pack_override": rng.choice(("", "a trial")), "no_match": rng.choice(("reject", "refer")),
        "attack": rng.choice(("reject", "refer")),
        "pad": rng.choice(("required", "if_available", "off")),
        "purpose": rng.choice(("verification", "identification")),
        "reference_age_max_days": rng.choice((None, 30, 5)),
        "trust_age_max_s": rng.choice((None, 1, 7_200)),
        "trust_stale": rng.choice(("refer", "reject")),
        "clock_degraded": rng.choice(("judge", "narrow", "refer")),
        "cards": rng.choice(("off", "with_status", "without_status")),
    }
    chosen = rng.sample(sorted(every), rng.randint(1, 4))
    return msgspec.structs.replace(policy, version=policy.version + 1,
                                   **{name: every[name] for name in chosen})


class Rerun:
    """The same showings at a node by the old policies, and at its twin by the new ones."""

    def __init__(self, folder, city) -> None:
        self.old, self.new = Judges(folder / "old", city), Judges(folder / "new", city)
        self.city, self.rng = city, random.Random(SEED)

    async def run(self, name: str, count: int) -> None:
        old, new = self.old.nodes[name], self.new.nodes[name]
        self.before = dict(old.trust.policies)
        self.after = {scene: otherwise(self.rng, policy) for scene, policy in self.before.items()}
        new.trust = msgspec.structs.replace(new.trust, policies=self.after)
        generator = Generator(self.city, SEED)
        for number, watch in enumerate(generator.watches(-(-count // A_WATCH))):
            cases = generator.cases(watch, number * A_WATCH, A_WATCH)
            again = [case for case in cases if case.shown_before]
            for judges, node in ((self.old, old), (self.new, new)):
                judges.watch(watch)
                await node.judge(again)
                await node.judge(cases)

    def close(self):
        self.old.close()
        self.new.close()

    def records(self, judges, name):
        journal = judges.nodes[name].journal
        return [decode_record(data) for _, data in journal.recent(0)]


@pytest.mark.parametrize("name", ["online", "offline"])
async def test_what_a_dry_run_says_a_node_with_that_policy_says(city, tmp_path, name):
    rerun = Rerun(tmp_path, city)
    try:
        await rerun.run(name, CASES)
        then, now = rerun.records(rerun.old, name), rerun.records(rerun.new, name)
    finally:
        rerun.close()
    assert len(then) == len(now) >= CASES
    dry = DryRun(rerun.after, lambda scene, _: rerun.before[scene], {PACK: POINTS})
    foretold: Counter[str] = Counter()
    wrong, open_ids = [], set()
    by_request = {record.request_digest: record for record in now}
    for record in then:
        assert isinstance(record, VerificationRecord)
        really, found = by_request[record.request_digest], dry.add("log", record)
        assert found is not None
        if isinstance(found, Missing):
            foretold[found] += 1
            if record.credential_id is None:
                open_ids.add(really.credential_id)
        elif really.reason == "presentation_replayed" and really.credential_id in open_ids:
            foretold["after a code that isn't recorded"] += 1
        elif (found.decision, found.reason) == (really.decision, really.reason):
            foretold["right"] += 1
            foretold["changed"] += (really.decision, really.reason) != (
                record.decision, record.reason)
        else:
            wrong.append(f"{found} but {really.decision} {really.reason}\n  {record}\n"
                         f"  {rerun.before[record.scene]}\n  {rerun.after[record.scene]}")
    assert not wrong, f"{len(wrong)} of {len(then)}, {foretold}:\n" + "\n".join(wrong[:4])
    report = dry.report()
    assert report.answers == report.same + report.changed + report.unknown == len(then)
    # Enough is foretold, and enough is left open, for the two of them to be tried.
    assert foretold["changed"] > len(then) // 100
    assert foretold["right"] > len(then) // 2
    assert len(set(foretold) & set(Missing)) >= 5


async def test_under_the_same_policies_nothing_would_change(city, tmp_path):
    rerun = Rerun(tmp_path, city)
    try:
        await rerun.run("online", 300)
        then = rerun.records(rerun.old, "online")
    finally:
        rerun.close()
    dry = DryRun(rerun.before, lambda scene, _: rerun.before[scene], {})
    for record in then:
        dry.add("log", record)
    report = dry.report()
    assert (report.answers, report.same) == (len(then), len(then))
