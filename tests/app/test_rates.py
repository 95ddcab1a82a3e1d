"""A node's thresholds on a real store: who is unfit is said, the population is followed."""

import msgspec
import numpy as np
import pytest

from edge.cache.store import LmdbStore
from edge.hotpath.holder import Probe
from edge.hotpath.normalise import score_shift, view_of
from edge.models.convert import NOTES, POINTS
from edge.models.manifest import PackManifest
from edge.models.operating import SiteCalibration, SitePoint, write_site_calibration
from edge.node_key import NodeKey
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import GateRecord, ReferenceRecord
from edge.rates import NodeRates
from tests.fakes.city import id_of, policy

KEY = NodeKey(bytes([7] * 32))
MANIFEST = PackManifest(
    id="p1", title="", licence="", source="", notes=NOTES, dimensions=128, normalise=True,
    files=(), operating_points=POINTS,
)


def row_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-127, 128, 128).astype(np.int8)


def reference(number: int) -> PutReference:
    return PutReference(ReferenceRecord(
        holder_id=id_of(f"holder {number}"), pack="p1", template=row_of(number).tobytes(),
        created_s=0))


class Node:
    def __init__(self, folder, manifest: PackManifest = MANIFEST, enrolled: int = 0) -> None:
        self.store = LmdbStore(folder / "cache", KEY.derive, map_bytes=1 << 22)
        self.store.apply([reference(number) for number in range(enrolled)], 1, {})
        self.policies = {
            "hotel": policy("hotel", fmr_max=1e-3, fnmr_max=0.1),
            "bank": policy("bank", fmr_max=1e-4, fnmr_max=0.1),
            "vault": policy("vault", fmr_max=1e-6),
            "door": policy("door", fmr_max=1e-6, pack_override="only until the summer"),
            "desk": policy("desk", face="off", fmr_max=1e-9),
        }
        self.events = []
        self.rates = NodeRates(folder, manifest, KEY.sign_public, self.store,
                               policies=lambda: self.policies, note=self.note, now=lambda: 5.0)

    async def note(self, event, detail) -> None:
        self.events.append((event, detail))

    def shown(self, scene: str):
        return next(item for item in self.rates.shown() if item.scene == scene)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


async def test_a_scene_that_cannot_be_served_is_said_once_and_again_when_it_changes(folder):
    node = Node(folder)
    await node.rates.tend()
    await node.rates.tend()
    said = {detail["scene"]: detail["why"] for event, detail in node.events}
    assert said == {"bank": "fnmr_too_high", "vault": "fmr_unserved", "door": "fmr_unserved"}
    assert len(node.events) == 3
    assert [item.scene for item in node.rates.shown()] == ["bank", "door", "hotel", "vault"]
    assert (node.shown("hotel").fit, node.shown("hotel").threshold) == (True, 0.928)
    assert (node.shown("bank").fit, node.shown("bank").threshold) == (False, None)
    assert (node.shown("door").override, node.shown("door").fmr) == ("only until the summer", 1e-5)
    node.policies["hotel"] = policy("hotel", fmr_max=1e-3, fnmr_max=0.01)
    await node.rates.tend()
    assert node.events[3:] == [
        ("pack.unfit", {"scene": "hotel", "why": "fnmr_too_high", "pack": "p1"})]


def test_a_scene_that_cannot_be_served_is_counted_once_a_gate_may_ask_for_it(folder):
    node = Node(folder)

    def unserved(*scenes: str) -> tuple[str, ...]:
        return node.rates.unserved(
            GateRecord(gate_id=f"g{at}", secret_hash=bytes(32), scenes=named)
            for at, named in enumerate(scenes))

    # Policies come with every city: none of them is in anybody's way by itself.
    assert unserved() == ()
    assert unserved(("hotel", "desk"), ("gone",)) == ()
    assert unserved(("hotel", "bank"), ("vault", "bank")) == ("bank", "vault")
    # Whoever overrides it in words has decided.
    assert unserved(("door",)) == ()


async def test_a_gallery_too_large_for_the_pack_is_said(folder):
    node, size = Node(folder), [100]
    node.policies = {"lobby": policy("lobby", fmr_max=1e-3, identification="allowed",
                                     fpir_max=0.01, fnmr_max=None)}
    node.rates = NodeRates(folder, MANIFEST, KEY.sign_public, node.store, note=node.note,
                           policies=lambda: node.policies, now=lambda: 5.0,
                           searched=lambda: size[0])
    await node.rates.tend()
    shown = node.shown("lobby")
    assert (shown.fit, shown.search_fit, shown.search_why) == (True, True, "")
    assert shown.search_fmr == pytest.approx(1e-4, rel=0.01)
    size[0] = 5_000
    await node.rates.tend()
    await node.rates.tend()
    assert (node.shown("lobby").fit, node.shown("lobby").search_fit) == (True, False)
    assert node.events == [("pack.unfit", {
        "scene": "lobby", "why": "fmr_unserved", "pack": "p1", "searched": 5_000})]


async def test_the_population_takes_over_follows_and_lets_go(folder):
    node = Node(folder, enrolled=220)
    await node.rates.tend()
    shown = node.shown("hotel")
    assert (shown.scale, shown.calibration, shown.fmr) == ("normalised", "cohort", 1e-3)
    [point] = node.rates.shown_cohort().points
    assert point.threshold == shown.threshold
    assert node.shown("door").scale == "raw"
    renewed = [detail for event, detail in node.events if event == "calibration.renewed"]
    assert [detail["identities"] for detail in renewed] == [220]
    node.store.apply([reference(number) for number in range(220, 260)], 2, {})
    assert node.rates.shown_cohort().identities == 260
    await node.rates.tend()
    assert node.rates.shown_cohort().calibrated_version == node.rates.shown_cohort().version
    node.store.apply(
        [DropReference(id_of(f"holder {number}"), "p1") for number in range(100)], 3, {})
    await node.rates.tend()
    assert (node.shown("hotel").scale, node.shown("hotel").calibration) == ("raw", "pack")
    assert node.rates.shown_cohort().points == ()


async def test_in_stored_space_scores_are_shifted_as_they_were_before(folder):
    """References are rotated by a secret of the site; the population stays the same one."""
    node = Node(folder, enrolled=220)
    await node.rates.tend()
    rows = np.stack([row_of(number) for number in range(220)])
    plain = view_of(1, rows, [id_of(f"holder {number}") for number in range(220)])
    for number in (3, 117):
        claimed = id_of(f"holder {number}")
        reference = node.store.reference(claimed, "p1")
        assert not np.array_equal(np.frombuffer(reference.template, np.int8), row_of(number))
        probe = Probe(pack="p1", template=row_of(900), quality=1.0, components={})
        found = node.rates.scenes.comparison(
            node.policies["hotel"], node.store.protect_probe(probe, reference), reference)
        expected = score_shift(plain, probe.template, row_of(number), claimed)
        assert found.scale == "normalised"
        assert found.shift == pytest.approx(expected, abs=1e-3)


async def test_a_pack_that_does_not_ask_for_it_is_never_normalised(folder):
    node = Node(folder, msgspec.structs.replace(MANIFEST, normalise=False), enrolled=220)
    await node.rates.tend()
    assert node.rates.shown_cohort() is None
    assert node.shown("hotel").scale == "raw"


async def test_what_the_site_measured_can_make_a_pack_fit(folder):
    point = SitePoint(fmr=1e-4, threshold=0.935, errors=11, fmr_low=0.0, fmr_high=3e-4, fnmr=0.05)
    write_site_calibration(folder, SiteCalibration(
        pack="p1", measured_s=0, persons=400, images=900, failures=0, genuine=900,
        impostor=110_000, points=(point,)), KEY.signing)
    node = Node(folder)
    shown = node.shown("bank")
    assert (shown.fit, shown.calibration, shown.threshold) == (True, "site", 0.935)
