"""`kanhe face identify` on real faces: who it is, nobody, and what it can't work with."""

import json

import cv2
import pytest

from kanhe.cli import main
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait


@pytest.fixture
def people(tmp_path, face_pack_dir, monkeypatch):
    monkeypatch.setenv("KANHE_HOME", str(face_pack_dir.parents[1]))
    folder = tmp_path / "people"
    for person in PEOPLE[1:]:
        (folder / person.key).mkdir(parents=True)
        cv2.imwrite(str(folder / person.key / "a.png"), load_portrait(person)[:, :, ::-1])
    return folder


def capture_of(person, tmp_path):
    path = tmp_path / "probe.jpg"
    path.write_bytes(face_frame(load_portrait(person), seed=5))
    return str(path)


def test_a_person_of_the_folder_is_named(people, tmp_path, capfdbinary):
    assert main(["face", "identify", str(people), capture_of(PEOPLE[2], tmp_path)]) == 0
    line = json.loads(capfdbinary.readouterr().out)
    assert (line["match"], line["nobody"], line["people"]) == (PEOPLE[2].key, False, 4)
    assert line["score"] > line["threshold"]
    assert line["margin"] == pytest.approx(line["score"] - line["second"], abs=2e-4)
    assert line["fmr"] <= line["fmr_needed"]
    assert line["fit"]


def test_a_stranger_is_nobody(people, tmp_path, capfdbinary):
    assert main(["face", "identify", str(people), capture_of(PEOPLE[0], tmp_path)]) == 0
    line = json.loads(capfdbinary.readouterr().out)
    assert (line["match"], line["nobody"], line["why"]) == (None, True, "threshold")


def test_a_rate_beyond_the_pack_is_said(people, tmp_path, capfdbinary):
    probe = capture_of(PEOPLE[2], tmp_path)
    assert main(["face", "identify", str(people), probe, "--fpir", "1e-7"]) == 0
    line = json.loads(capfdbinary.readouterr().out)
    assert not line["fit"]
    assert line["fmr"] > line["fmr_needed"]


def test_what_it_cannot_work_with_is_said(people, tmp_path, capfd):
    probe = capture_of(PEOPLE[2], tmp_path)
    assert main(["face", "identify", str(tmp_path / "gone"), probe]) == 1
    assert "isn't a folder" in capfd.readouterr().err
    assert main(["face", "identify", str(people), probe, "--fpir", "2"]) == 1
    assert "between 0 and 1" in capfd.readouterr().err


def test_a_linked_folder_is_a_person_and_a_damaged_picture_is_left_out(
        people, tmp_path, capfdbinary):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    for folder in people.iterdir():
        (gallery / folder.name).symlink_to(folder)
    (gallery / "torn.jpg").write_bytes(b"no picture")
    assert main(["face", "identify", str(gallery), capture_of(PEOPLE[2], tmp_path)]) == 0
    caught = capfdbinary.readouterr()
    line = json.loads(caught.out)
    assert (line["match"], line["people"]) == (PEOPLE[2].key, 4)
    assert b"torn.jpg" in caught.err
    assert b"left out" in caught.err
