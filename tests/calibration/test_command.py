"""`kanhe models calibrate` from pictures to a file that the node believes."""

import json
import shutil

import pytest

from edge.models.operating import SITE_FILE, SiteCalibration, read_site_calibration
from edge.node_key import load_or_create_node_key
from kanhe.calibration import command
from kanhe.cli import main
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Five persons, four captures each: 160 impostor pairs."""
    root = tmp_path_factory.mktemp("people")
    for person in PEOPLE:
        (root / person.key).mkdir()
        portrait = load_portrait(person)
        for seed in range(4):
            (root / person.key / f"{seed}.jpg").write_bytes(face_frame(portrait, seed=seed))
    (root / "ma" / "wall.jpg").write_bytes((root / "ma" / "0.jpg").read_bytes()[:2000])
    return root


@pytest.fixture
def config(tmp_path, face_pack_dir):
    """A node whose pack is a copy, since calibrating writes beside it."""
    shutil.copytree(face_pack_dir, tmp_path / "packs" / "dlib-v1")
    (tmp_path / "packs" / "dlib-v1" / SITE_FILE).unlink(missing_ok=True)
    path = tmp_path / "edge.toml"
    path.write_text(f'data_dir = "{tmp_path}"\npacks_dir = "{tmp_path / "packs"}"\n')
    return path


def test_a_nodes_own_measurement_is_signed_and_believed(pictures, config, tmp_path, capsys):
    groups = tmp_path / "groups.csv"
    groups.write_text("name,group\nma,one\nshi,one\nbao,two\n")
    arguments = ["models", "calibrate", str(pictures), "--config", str(config),
                 "--groups", str(groups), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    printed, told = capsys.readouterr()
    line = json.loads(printed)
    assert (line["persons"], line["images"], line["failures"]) == (5, 21, 1)
    assert line["signed"] is True
    assert line["unborne"] == [0.01, 0.001, 0.0001, 1e-05]
    assert "no threshold for FMR 0.01" in told
    key = load_or_create_node_key(tmp_path / "node.key")
    held = read_site_calibration(tmp_path / "packs" / "dlib-v1", key.sign_public)
    assert isinstance(held, SiteCalibration)
    [point] = held.points
    assert (point.fmr, point.errors, held.impostor) == (0.1, 16, 160)
    assert set(line["groups"]) == {"one", "two"}


def test_the_report_is_one_file_that_says_what_the_pack_is_not_good_for(
    pictures, tmp_path, face_pack_dir, capsys
):
    assert main(["models", "calibrate", str(pictures), "--pack", str(face_pack_dir),
                 "--out", str(tmp_path)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["signed"] is False
    assert line["operating_points"] == str(tmp_path / SITE_FILE)
    page = (tmp_path / command.REPORT_FILE).read_text()
    assert "East Asian faces" in page
    assert "Not signed" in page
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "ma/0.jpg" in page
    assert str(pictures) not in page


def test_a_pair_list_is_measured_too(pictures, tmp_path, face_pack_dir, capsys):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a,b,same\nma/0.jpg,ma/1.jpg,1\nma/0.jpg,shi/0.jpg,0\n")
    assert main(["models", "calibrate", str(pictures), "--pairs", str(pairs), "--pack",
                 str(face_pack_dir), "--out", str(tmp_path)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["genuine"], line["impostor"], line["points"]) == (1, 1, [])
    assert line["operating_points"] is None
    assert not (tmp_path / SITE_FILE).exists()
    assert main(["face", "pairs", str(pairs), "--root", str(pictures), "--pack",
                 str(face_pack_dir)]) == 0
    header, genuine, impostor, summary = capsys.readouterr().out.splitlines()
    assert header == "a,b,same,score"
    assert float(genuine.split(",")[3]) > 0.97 > float(impostor.split(",")[3])
    assert json.loads(summary)["eer"] == 0.0


@pytest.mark.parametrize("arguments", [
    ["models", "calibrate", "nowhere"], ["face", "pairs", "nowhere.csv"],
])
def test_what_is_not_there_is_one_sentence_and_no_traceback(
    arguments, face_pack_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--pack", str(face_pack_dir)]) == 1
    told = capsys.readouterr().err
    assert "nowhere" in told
    assert "Traceback" not in told
