"""The whole face path on a folder of pictures: what is found, compared, counted and refused."""

import shutil
import sys

import cv2
import msgspec
import numpy as np
import pytest

from bench import __main__ as command
from bench.face_photos import Photos, find_photos
from bench.face_whole_path import ROUNDS_MAX, compare_decisions, look_in_turn
from edge.errors import ConfigError
from edge.hotpath.reasons import Reason
from tests.fakes import onnx_forms
from tests.models.packs import file_of, write_manifest


def write_picture(path, *, tint, squares=((200, 100),)):
    """Write a picture whose faces are white squares; the tint around them is the person."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((384, 640, 3), tint, np.uint8)
    for left, top in squares:
        picture[top : top + 64, left : left + 64] = 255
    assert cv2.imwrite(str(path), picture)


@pytest.fixture
def people(tmp_path):
    """Two people of two pictures each, JPEG and PNG."""
    folder = tmp_path / "people"
    for name, tint in (("ann", (90, 0, 0)), ("bob", (0, 60, 90))):
        write_picture(folder / name / "1.jpg", tint=tint)
        write_picture(folder / name / "2.png", tint=tint, squares=((330, 200),))
    return folder


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Run the command on pictures; gives exit code, standard output and error."""
    pack = tmp_path / "pack"
    pack.mkdir()
    write_manifest(pack, [
        file_of(onnx_forms.scrfd(pack / "det.onnx"), "detector", "scrfd"),
        file_of(onnx_forms.arcface(pack / "rec.onnx"), "embedder", "arcface-112"),
    ])

    def run(photos, *words):
        monkeypatch.setattr(sys, "argv", [
            "bench", "--small", "--pack", str(pack), "--photos", str(photos), *words])
        code = command.main()
        return code, *capsys.readouterr()

    return run


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_one_command_gives_times_decisions_and_failures_on_a_folder_of_people(bench, people):
    write_picture(people / "ann" / "nobody.jpg", tint=(90, 0, 0), squares=())
    write_picture(people / "bob" / "two.jpg", tint=(0, 60, 90), squares=((100, 96), (400, 200)))
    code, out, _ = bench(people, "face-vs-insightface")
    assert code == 0
    line = msgspec.json.decode(out)  # a single line: InsightFace's own words stand elsewhere
    settings = line["settings"]
    assert line["valid"], line["why"]
    assert line["n"] == 4
    assert line["ratio"] > 0.0
    assert settings["ratio_at_the_same_input"] > 0.0
    assert set(settings["sums_ms"]) == {"own", "same", "theirs"}
    assert settings["ratios_of_sums"] == {
        path: pytest.approx(settings["sums_ms"][path] / settings["sums_ms"]["theirs"], abs=0.01)
        for path in ("own", "same")}
    assert settings["no_features"] == {
        "own": {"face_absent": 1, "face_multiple": 1},
        "same": {"face_absent": 1, "face_multiple": 1}, "theirs": {"face_absent": 1}}
    assert (settings["pairs"], settings["same_person"]) == (15, 6)
    assert settings["pairs_that_differ"] == {
        path: {"0.5": 0.0, "mean": 0.0} for path in ("own", "same")}


def test_a_damaged_picture_is_named(bench, people):
    whole = (people / "ann" / "1.jpg").read_bytes()
    (people / "ann" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    code, out, err = bench(people, "face-vs-insightface")
    assert (code, out) == (1, "")
    assert "ann/1.jpg: the JPEG is damaged" in err
    assert "Traceback" not in err


def test_pictures_without_faces_are_no_comparison(bench, people):
    for path in people.glob("*/*"):
        write_picture(path, tint=(9, 9, 9), squares=())
    code, _, err = bench(people, "face-vs-insightface")
    assert code == 1
    assert "in 0 of 4 pictures" in err


@pytest.mark.parametrize("words", [(), ("face-prepost",)])
def test_photographs_are_only_for_a_measure_that_takes_them(bench, people, words, capsys):
    with pytest.raises(SystemExit):
        bench(people, *words)
    assert "is of face-vs-insightface" in capsys.readouterr().err


def test_a_folder_that_isnt_there_is_said(bench, tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench(tmp_path / "none", "face-vs-insightface")
    assert "no such folder" in capsys.readouterr().err


def test_people_pairs_and_loose_pictures_are_taken(people, tmp_path):
    found = find_photos(people, 100)
    assert len(found.pictures) == found.found == 4
    assert found.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    assert found.same.tolist() == [True, False, False, False, False, True]
    (people / "pairs.csv").write_text("a,b,same\nann/1.jpg,ann/2.png,1\nann/1.jpg,bob/1.jpg,0\n")
    listed = find_photos(people / "pairs.csv", 100)
    assert [path.name for path in listed.pictures] == ["1.jpg", "2.png", "1.jpg"]
    assert (listed.pairs.tolist(), listed.same.tolist()) == ([[0, 1], [0, 2]], [True, False])
    for number, path in enumerate(sorted(people.glob("*/*"))):
        (tmp_path / "loose").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "loose" / f"{number}{path.suffix}")
    loose = find_photos(tmp_path / "loose", 100)
    assert (len(loose.pictures), len(loose.pairs), loose.same) == (4, 6, None)


def test_of_many_pictures_whole_persons_are_drawn_and_always_the_same(people):
    for name in ("cat", "dan", "eve"):
        for picture in people.glob("ann/*"):
            (people / name).mkdir(exist_ok=True)
            shutil.copy(picture, people / name)
    found = find_photos(people, 4)
    assert (len(found.pictures), found.found, found.same.sum()) == (4, 10, 2)
    assert found.pictures == find_photos(people, 4).pictures


@pytest.mark.parametrize(("files", "words"), [
    ({}, "holds 0 pictures"), ({"one.jpg": None}, "holds 1 pictures"),
    ({"ann/1.jpg": None, "ann/2.jpg": None}, "one folder a person"),
    ({"a.jpg": None, "b.jpg": "text"}, "b.jpg: not a JPEG"),
    ({"ann/1.jpg": None, "bob/1.bmp": "BM"}, "bob/1.bmp: not a JPEG"),
])
def test_what_cant_be_compared_is_refused_with_its_place(tmp_path, files, words):
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if content is None:
            write_picture(path, tint=(0, 0, 0))
        else:
            path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        find_photos(tmp_path, 100)


def test_a_listed_picture_that_isnt_there_is_named(tmp_path):
    (tmp_path / "p.csv").write_text("a,b,same\nhere.jpg,gone.jpg,1\n")
    write_picture(tmp_path / "here.jpg", tint=(0, 0, 0))
    with pytest.raises(ConfigError, match=r"gone\.jpg: No such file"):
        find_photos(tmp_path / "p.csv", 100)


def test_every_picture_is_met_in_every_order_of_the_paths():
    looks = []
    paths = {name: lambda frame, name=name: looks.append((frame, name)) or at(0)
             for name in ("own", "same", "theirs")}
    pictures = Photos(pictures=[b"one", b"two"], pairs=np.array([[0, 1]]), same=None, found=2)
    found, spent = look_in_turn(paths, pictures, ROUNDS_MAX)
    assert looks[:3] == [(b"one", name) for name in paths]  # to warm up
    turns = [looks[begin : begin + 3] for begin in range(3, len(looks), 3)]
    for picture in (b"one", b"two"):
        met = [tuple(name for _, name in turn) for turn in turns if turn[0][0] == picture]
        assert len(met) == len(set(met)) == 6
    assert {name: len(items) for name, items in found.items()} == dict.fromkeys(paths, 2)
    assert all(times.shape == (6, 2) for times in spent.values())


def at(degrees):
    """Features whose cosine is that of the angle between them."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def four_pictures(persons=(0, 0, 1, 1)):
    pairs = np.stack(np.triu_indices(4, 1), axis=1)
    same = np.array([persons[one] == persons[other] for one, other in pairs])
    return Photos(pictures=[b""] * 4, pairs=pairs, same=same, found=4)


def test_shares_are_of_all_pairs_and_of_those_of_one_person():
    theirs = [at(0), at(10), at(80), at(90)]
    own = [at(0), at(40), at(80), at(90)]  # turned away from its like, nearer to the others
    told = compare_decisions(four_pictures(), {"own": own, "same": theirs, "theirs": theirs},
                             [0.7, 0.9])
    # At 0.9 (26°) one person's pair falls; at 0.7 (46°) one of two persons' passes.
    assert told["pairs_that_differ"]["own"]["0.9"] == pytest.approx(1 / 6, abs=1e-6)
    assert told["same_person_that_differ"]["own"]["0.9"] == 0.5
    assert told["pairs_that_differ"]["own"]["0.7"] == pytest.approx(1 / 6, abs=1e-6)
    assert told["same_person_that_differ"]["own"]["0.7"] == 0.0
    assert told["pairs_that_differ"]["own"]["mean"] > 0.0
    assert set(told["pairs_that_differ"]["same"].values()) == {0.0}
    low, high = told["mean_over"]
    assert low < 0.7
    assert high > 0.9


def test_a_face_that_one_side_misses_passes_nothing_and_several_people_decide_nothing():
    theirs = [at(0), at(10), at(80), at(90)]
    own = [at(0), Reason.FACE_ABSENT, at(80), at(90)]
    same = [at(0), Reason.FACE_MULTIPLE, at(80), at(90)]
    told = compare_decisions(four_pictures(), {"own": own, "same": same, "theirs": theirs}, [0.9])
    assert told["pairs_that_differ"]["own"]["0.9"] == pytest.approx(1 / 6, abs=1e-6)
    assert told["pairs_that_differ"]["same"]["0.9"] == 0.0


def test_thresholds_need_two_persons():
    alike = [at(0), at(1), at(2), at(3)]
    with pytest.raises(ConfigError, match="different persons"):
        compare_decisions(four_pictures((0,) * 4),
                          {"own": alike, "same": alike, "theirs": alike}, [0.9])
