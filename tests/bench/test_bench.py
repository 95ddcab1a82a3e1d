"""The benchmarks' own rules: kept ratios, margins, the picture, the command line."""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from bench import compare, encoding, harness_docs, masking
from bench.__main__ import measures
from bench.harness import Result, Row, interleave
from bench.harness_bars import draw_peers
from bench.harness_baseline import Kept, fallen, keep, load_baseline
from bench.harness_picture import draw
from bench.peers_gallery import gallery

ROOT = Path(__file__).resolve().parents[2]


def result(ratio, unit="us", measure="m", *, valid=True) -> Result:
    return Result(measure=measure, ours=1.0, theirs=1.0, unit=unit, ratio=ratio, against="x", n=1,
                  settings={}, valid=valid)


@pytest.mark.parametrize(("unit", "ratio", "bad"), [
    ("us", 1.49, False), ("us", 1.51, True), ("us", 0.1, False),
    ("1/s", 0.68, False), ("1/s", 0.66, True), ("1/s", 9.0, False), ("count", 0.5, True),
])
def test_a_ratio_falls_only_beyond_its_margin_and_in_its_bad_direction(unit, ratio, bad):
    assert bool(fallen(result(ratio, unit), Kept(1.0, 0.5))) is bad


def test_what_wasnt_measured_hasnt_fallen():
    assert fallen(result(None), Kept(1.0, 0.5)) == ""


def test_the_kept_ratios_are_of_measures_that_exist_and_have_wide_margins():
    kept = load_baseline()
    assert set(kept) <= set(measures())
    assert {"presentation-check", "http-cpu", "lookup", "journal-commit"} <= set(kept)
    assert all(item.ratio > 0.0 for item in kept.values())


def test_a_narrow_margin_is_refused(tmp_path):
    (tmp_path / "b.json").write_text('{"m": {"ratio": 1, "margin": 0.1}}')
    with pytest.raises(ValueError, match="margins under"):
        load_baseline(tmp_path / "b.json")


def test_keeping_changes_ratios_and_leaves_margins(tmp_path):
    path = tmp_path / "b.json"
    path.write_text('{"m": {"ratio": 1.0, "margin": 0.9}, "other": {"ratio": 2.0}}')
    keep([result(3.0), result(9.0, measure="bad", valid=False), result(None, measure="none"),
          result(0.1, "1/s", "http-code-only")], path)
    assert load_baseline(path) == {"m": Kept(3.0, 0.9), "other": Kept(2.0)}


def test_the_picture_shows_every_ratio_with_its_target():
    drawn = draw([result(0.13, "1/s", "http-code-only"), result(1.8, measure="presentation-check"),
                  result(None, measure="absent"), result(1.1, measure="x<y", valid=False)])
    root = ET.fromstring(drawn)
    words = " ".join(root.itertext())
    assert "target 0.5 missed" in words
    assert "target 3 met" in words
    assert "x<y" in words
    assert "not valid" in words
    assert "absent" not in words


def test_nothing_measured_is_a_picture_all_the_same():
    ET.fromstring(draw([]))


def test_rounds_alternate_and_the_median_is_of_one_operation():
    order = []
    ours, theirs = interleave(lambda: order.append("o"), lambda: order.append("t"), 4, 10)
    assert "".join(order) == "ot" + "ottootto"
    assert ours >= 0.0
    assert theirs >= 0.0


@pytest.mark.parametrize("module", [compare, encoding, masking])
def test_a_small_run_is_valid_and_of_the_interface_shape(module):
    line = msgspec.json.decode(msgspec.json.encode(module.run(small=True)))
    assert list(line)[:9] == ["measure", "ours", "theirs", "unit", "ratio", "against", "n",
                              "settings", "valid"]
    assert line["valid"], line["why"]
    assert line["ratio"] > 0.0


def test_an_unknown_name_is_answered_with_the_known_ones():
    done = subprocess.run([sys.executable, "-m", "bench", "no-such"], cwd=ROOT, text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "unknown measure no-such" in done.stderr
    assert "presentation-check" in done.stderr


def test_the_document_and_its_pictures_are_what_is_made_of_the_kept_lines():
    made = harness_docs.generated(
        harness_docs.load_measured(), harness_docs.DOCUMENT.read_text("utf-8"))
    for path, content in made.items():
        assert path.read_text("utf-8") == content, "python -m bench --write-docs"
        assert path.name == "performance.md" or path.name in made[harness_docs.DOCUMENT]


def test_every_measure_says_what_its_limit_is():
    assert set(harness_docs.LIMITS) == set(measures())


def run_of(*, busy: bool = False, small: bool = False) -> harness_docs.Run:
    return harness_docs.Run(small=small, others=0.5 if busy else 0.02, cores=2, day="2026-11-24")


def test_a_busy_machine_shows_no_figures_by_the_clock():
    measured = harness_docs.Measured()
    rows = [Row(question="HTTP", peer="node", figure=777.0, unit="1/s"),
            Row(question="codes", peer="ours", figure=3.5, unit="ms")]
    harness_docs.merge(measured, [result(0.777, "1/s", "http-code-only"),
                                  result(1.25, measure="compare")], rows, run_of(busy=True))
    document = "<!-- measures: made by bench --><!-- measures: end -->\n" \
               "<!-- peers: made by bench --><!-- peers: end -->"
    made = harness_docs.generated(measured, document)
    text = made[harness_docs.DOCUMENT]
    assert "777" not in "".join(made.values())
    assert "| `compare` |" in text
    assert "1.25" in text
    assert "3.5 ms" in made[harness_docs.BARS]
    harness_docs.merge(measured, [result(0.777, "1/s", "http-code-only")], rows, run_of())
    made = harness_docs.generated(measured, document)
    assert "0.777" in made[harness_docs.DOCUMENT]
    assert "777 1/s" in made[harness_docs.BARS]


def test_a_later_run_replaces_what_it_measured_and_leaves_the_rest():
    measured = harness_docs.Measured()
    harness_docs.merge(measured, [result(1.0), result(2.0, measure="other")],
                       [Row(question="a", peer="x", figure=1.0, unit="ms"),
                        Row(question="b", peer="x", figure=1.0, unit="ms")], run_of(small=True))
    harness_docs.merge(measured, [result(3.0)],
                       [Row(question="a", peer="y", figure=2.0, unit="ms")], run_of())
    assert {name: (item.result.ratio, item.run.small) for name, item in
            measured.measures.items()} == {"m": (3.0, False), "other": (2.0, True)}
    assert [(item.row.question, item.row.peer) for item in measured.peers] == [
        ("b", "x"), ("a", "y")]


def test_what_others_use_of_the_machine_is_seen_and_what_we_use_isnt():
    watch = harness_docs.Watch()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    alone = watch.run(small=True)
    watch = harness_docs.Watch()
    crowd = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
             for _ in range(os.cpu_count() or 1)]
    time.sleep(1.0)
    crowded = watch.run(small=True)
    for process in crowd:
        process.kill()
        process.wait()
    assert 0.0 <= alone.others <= 1.0
    assert crowded.others > 0.5
    assert crowded.busy


def test_a_document_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="no marks"):
        harness_docs.between("text", "measures", "x")


def test_the_picture_of_peers_has_a_bar_for_each_and_escapes_names():
    drawn = draw_peers([
        Row(question="q", peer="ours", figure=1.0, unit="ms", read="3 of 4"),
        Row(question="q", peer="a<b", figure=2.0, unit="ms"),
        Row(question="q", peer="absent", figure=0.0, unit="ms", note="isn't installed")])
    root = ET.fromstring(drawn)
    words = " ".join(root.itertext())
    assert "a<b" in words
    assert "found 3 of 4" in words
    assert "lower is better" in words
    assert "absent" not in words
    assert drawn.count("<rect") == 3


def test_the_gallery_is_searched_by_every_peer_that_is_installed():
    rows = gallery(small=True)
    ours = next(row for row in rows if row.peer.startswith("ours"))
    assert ours.read == "20 of 20"
    assert {row.peer.split()[0].rstrip(",") for row in rows} == {"ours", "FAISS", "usearch"}
    assert all(row.figure > 0.0 or "installed" in row.note for row in rows)
