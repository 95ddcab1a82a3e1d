"""The benchmarks' own rules: kept ratios, margins, the picture, the command line."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from bench import compare, encoding, masking
from bench.__main__ import measures
from bench.harness import Result, interleave
from bench.harness_baseline import Kept, fallen, keep, load_baseline
from bench.harness_picture import draw

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
