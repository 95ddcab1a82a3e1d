"""Which threshold serves a scene, and that the population's takes over when it can."""

import asyncio

import msgspec
import numpy as np
import pytest

from edge.errors import JournalError
from edge.hotpath.fitness import judge_fitness
from edge.hotpath.holder import Probe
from edge.hotpath.normalise import CohortView, view_of
from edge.hotpath.rates import Point
from edge.pipeline.renewal import Renewal
from edge.pipeline.thresholds import SceneRates
from edge.protocol.journal import decode_record
from edge.protocol.records import ReferenceRecord
from tests.fakes.ports import PACK, POINTS, template_of
from tests.pipeline.desk import FACE, HOLDER, OWNER, STRANGER, Desk

PACK_POINTS = (Point(fmr=1e-2, threshold=0.8, fnmr=0.01), Point(fmr=1e-3, threshold=0.9, fnmr=0.1))
SITE_POINTS = (Point(fmr=1e-2, threshold=0.7, fnmr=0.3), Point(fmr=1e-4, threshold=0.95))
SOURCES = [("site", SITE_POINTS), ("pack", PACK_POINTS)]


def policy(**differently):
    return msgspec.structs.replace(FACE, **differently)


@pytest.mark.parametrize(("fmr_max", "fnmr_max", "why", "threshold", "maker"), [
    (1e-2, None, "", 0.7, "site"),
    (1e-3, None, "", 0.95, "site"),
    (1e-5, None, "fmr_unserved", None, "pack"),
    (1e-2, 0.3, "", 0.7, "site"),
    (1e-2, 0.29, "fnmr_too_high", None, "pack"),
    (1e-4, 0.9, "fnmr_unknown", None, "pack"),
])
def test_a_scene_is_served_by_both_of_its_rates(fmr_max, fnmr_max, why, threshold, maker):
    found = judge_fitness(policy(fmr_max=fmr_max, fnmr_max=fnmr_max), SOURCES)
    assert (found.why, found.maker) == (why, maker)
    assert (found.point.threshold if found.point else None) == threshold


def test_words_override_an_unfit_pack_with_what_comes_nearest():
    words = "agreed with the bank until the new pack is here"
    found = judge_fitness(policy(fmr_max=1e-6, pack_override=words), SOURCES)
    assert (found.why, found.point.threshold) == ("fmr_unserved", 0.95)
    found = judge_fitness(policy(fmr_max=1e-2, fnmr_max=0.1, pack_override=words), SOURCES)
    assert (found.why, found.point.threshold) == ("fnmr_too_high", 0.7)
    assert judge_fitness(policy(pack_override=words), [("pack", ())]).point is None


def population(count: int, version: int = 1, own: bytes = b"") -> CohortView:
    rows = np.stack([template_of(1_000 + number) for number in range(count)])
    holders = [b"c%d" % number for number in range(count)]
    if own:
        rows[7], holders[7] = template_of(OWNER), own
    return view_of(version, rows, holders)


class Notes:
    def __init__(self) -> None:
        self.events, self.broken = [], False

    async def __call__(self, event, detail) -> None:
        if self.broken:
            raise JournalError("disk full")
        self.events.append((event, detail))


class Node:
    """A renewal whose cohort and scenes a test sets."""

    def __init__(self, view: CohortView) -> None:
        self.view, self.fmrs, self.notes = view, {1e-3}, Notes()
        self.renewal = Renewal(cohort=lambda: self.view, fmrs=lambda: self.fmrs,
                               note=self.notes, now=lambda: 77.9)
        self.rates = SceneRates([("pack", POINTS)], cohort=lambda: self.view,
                                calibration=lambda: self.renewal.calibration)


async def test_scores_stay_raw_until_there_are_two_hundred_identities():
    node = Node(population(199))
    assert not await node.renewal.renew_if_due()
    assert node.renewal.calibration is None
    assert not node.notes.events
    node.view = population(200)
    assert await node.renewal.renew_if_due()
    [(event, detail)] = node.notes.events
    assert event == "calibration.renewed"
    assert detail["identities"] == 200
    [point] = node.renewal.calibration.points
    assert detail["threshold at FMR 0.001"] == round(point.threshold, 4)
    assert node.renewal.renewed_s == 77
    node.view = population(150, version=9)
    assert not await node.renewal.renew_if_due()
    assert node.renewal.calibration is None


async def test_a_calibration_is_renewed_after_a_tenth_has_changed_or_scenes_ask_otherwise():
    node = Node(population(300, version=1_000))
    assert await node.renewal.renew_if_due()
    node.view = population(300, version=1_030)
    assert not await node.renewal.renew_if_due()
    node.view = population(300, version=1_031)
    assert await node.renewal.renew_if_due()
    node.fmrs = {1e-3, 1e-2}
    assert await node.renewal.renew_if_due()
    assert {point.fmr for point in node.renewal.calibration.points} == {1e-3, 1e-2}


async def test_a_calibration_that_cannot_be_journalled_is_not_in_force():
    node = Node(population(300))
    node.notes.broken = True
    with pytest.raises(JournalError):
        await node.renewal.renew_if_due()
    assert node.renewal.calibration is None


async def test_verifications_go_on_while_thresholds_are_read():
    node = Node(population(1_500))
    node.fmrs = {1e-2, 1e-3}
    task = asyncio.create_task(node.renewal.renew_if_due())
    turns = 0
    while not task.done():
        await asyncio.sleep(0.002)
        turns += 1
    assert task.result()
    assert turns > 10


def probe_of(name: int, dimensions: int = 128) -> Probe:
    return Probe(pack=PACK, template=template_of(name)[:dimensions], quality=1.0, components={})


def reference_of(holder: bytes) -> ReferenceRecord:
    return ReferenceRecord(holder_id=holder, pack=PACK, created_s=0,
                           template=template_of(OWNER).tobytes())


async def test_only_a_scene_that_the_cohort_bears_is_judged_on_the_normalised_scale():
    node = Node(population(300))
    await node.renewal.renew_if_due()
    reference, probe = reference_of(HOLDER), probe_of(OWNER)
    found = node.rates.comparison(policy(fmr_max=1e-3), probe, reference)
    assert (found.scale, found.calibration, found.fmr) == ("normalised", "cohort", 1e-3)
    assert found.threshold == node.renewal.calibration.points[0].threshold
    assert found.shift > 0
    other = node.rates.comparison(policy(fmr_max=2e-3), probe, reference)
    assert (other.scale, other.calibration, other.shift) == ("raw", "pack", 0.0)
    assert node.rates.comparison(policy(fmr_max=1e-4), probe, reference) is None
    for pair in ((probe, None), (probe_of(OWNER, 64), reference)):
        assert node.rates.comparison(policy(fmr_max=1e-3), *pair).scale == "raw"


async def test_being_in_the_cohort_changes_nothing_for_the_claimed_one():
    inside, outside = Node(population(300, own=HOLDER)), Node(population(300))
    for node in (inside, outside):
        await node.renewal.renew_if_due()
    # The row that HOLDER's replaced counts for nobody in the other cohort either.
    outside.view = msgspec.structs.replace(
        outside.view, index={**outside.view.index, HOLDER: 7})
    shifts = {node.rates.comparison(policy(), probe_of(OWNER), reference_of(HOLDER)).shift
              for node in (inside, outside)}
    assert len(shifts) == 1


@pytest.mark.parametrize(("identities", "scale", "calibration"), [
    (199, "raw", "pack"), (300, "normalised", "cohort"),
])
async def test_a_verdict_says_which_scale_and_whose_threshold(
    tmp_path, identities, scale, calibration
):
    desk, node = Desk(tmp_path), Node(population(identities))
    try:
        await node.renewal.renew_if_due()
        desk.rates = node.rates
        desk.verifier = desk.build(desk.journal)
        answer = (await desk.verifier.verify(desk.call("face", face=OWNER))).answer
        assert (answer.reason, answer.face.scale, answer.face.calibration) == (
            "ok", scale, calibration)
        record = decode_record(desk.journal.read(0, 1, 10_000)[0])
        assert record.face == answer.face
        refused = (await desk.verifier.verify(desk.call(
            "face", code=desk.code(int(desk.clock.now // 5) + 1), face=STRANGER))).answer
        assert (refused.reason, refused.face.scale) == ("no_match", scale)
    finally:
        desk.close()
