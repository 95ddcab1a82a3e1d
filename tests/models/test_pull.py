"""`kanhe models pull` against a loopback mirror: whole, cut off, lying, endless, and hostile."""

import argparse
import asyncio
import hashlib
import io
import json
import zipfile

import pytest
from aiohttp import web

from edge.errors import ConfigError, PackError
from edge.models.catalogue import Entry, load_catalogue
from edge.models.engine import FaceEngine
from edge.models.forms import check_manifest
from edge.models.manifest import FILE_BYTES_MAX, load_manifest
from edge.protocol.records import Words
from kanhe.cli import main
from kanhe.pulling import pull
from tests.fakes import onnx_forms
from tests.models.packs import OWN, file_of, write_manifest

FOREIGN = {
    "manifest_version": 2, "model_id": "raccoon_s", "license": "MODEL.LICENSE",
    "tasks": {
        "detection": {"file": "det.onnx", "preprocessing": {"mean": 127.5, "std": 128.0}},
        "recognition": {"file": "rec.onnx", "input_size": [112, 112], "embedding_dimension": 512},
        "verification": {"file": "ver.onnx"},
    },
}


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("forms")
    return {"det.onnx": onnx_forms.scrfd(folder / "det.onnx").read_bytes(),
            "rec.onnx": onnx_forms.arcface(folder / "rec.onnx").read_bytes()}


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def archive(models) -> bytes:
    return zipped({"raccoon_s/manifest.json": json.dumps(FOREIGN).encode(),
                   **{f"raccoon_s/{name}": data for name, data in models.items()}})


class Mirror:
    """Serves one body; `cuts` are the places where it hangs up, one a request."""

    def __init__(self, body: bytes, cuts=(), ranges=True, endless=False):
        self.body, self.cuts, self.ranges, self.endless = body, list(cuts), ranges, endless
        self.asked: list[str | None] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        if start >= len(self.body) and wanted:
            return web.Response(status=416)
        response = web.StreamResponse(status=206 if start else 200)
        if start:
            size = len(self.body)
            response.headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if self.endless:
            response.enable_chunked_encoding()
            await response.prepare(request)
            try:
                while True:
                    await response.write(bytes(1 << 20))
            except ConnectionError:
                return response
        response.content_length = len(self.body) - start
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        await response.write(self.body[start:cut])
        if cut is not None:
            request.transport.abort()
        return response


@pytest.fixture
def serve(aiohttp_server):
    async def start(mirror: Mirror) -> str:
        app = web.Application()
        app.router.add_get("/{name}", mirror.answer)
        server = await aiohttp_server(app)
        return str(server.make_url("/"))

    return start


async def kanhe(*args) -> int:
    return await asyncio.to_thread(main, ["models", "pull", *map(str, args)])


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_a_pack_is_pulled_from_a_mirror_and_opens(serve, archive, tmp_path, capsysbinary):
    url = await serve(Mirror(archive))
    assert await kanhe("raccoon_s", "--from", url, "--sha256", sha(archive), "--accept-licence",
                       "--packs", tmp_path) == 0
    out, err = capsysbinary.readouterr()
    assert b"NO COMMERCIAL USE" in err
    assert json.loads(out)["fit"] is False
    engine = FaceEngine(tmp_path / "raccoon_s")
    assert engine.manifest.files[0].parameters.std == 128.0
    assert engine.threshold(0.5) is None
    assert [path.name for path in tmp_path.iterdir()] == ["raccoon_s"]


@pytest.mark.parametrize("cuts", [[1], [1_000, 1_001], [0, 5_000, 60_000]])
async def test_a_cut_connection_is_resumed_where_it_was_cut(serve, archive, tmp_path, cuts):
    mirror = Mirror(archive, cuts)
    url = await serve(mirror)
    assert await kanhe("raccoon_s", "--from", url, "--sha256", sha(archive), "--accept-licence",
                       "--packs", tmp_path) == 0
    assert len(mirror.asked) == len(cuts) + 1
    assert mirror.asked[-1] == (f"bytes={cuts[-1]}-" if cuts[-1] else None)


async def test_what_arrived_is_kept_for_the_next_command(serve, archive, tmp_path, capsys):
    mirror = Mirror(archive, [10, 20, 30, 4_000])
    url = await serve(mirror)
    args = ["raccoon_s", "--from", url, "--sha256", sha(archive), "--accept-licence",
            "--packs", tmp_path]
    assert await kanhe(*args) == 1
    assert "4000 bytes have arrived and are kept" in capsys.readouterr().err
    assert not (tmp_path / "raccoon_s").exists()
    assert await kanhe(*args) == 0
    assert mirror.asked[-1] == "bytes=4000-"


async def test_a_mirror_that_knows_no_ranges_is_read_from_the_start(serve, archive, tmp_path):
    url = await serve(Mirror(archive, [5_000], ranges=False))
    assert await kanhe("raccoon_s", "--from", url, "--sha256", sha(archive), "--accept-licence",
                       "--packs", tmp_path) == 0


async def test_a_wrong_checksum_installs_nothing_and_keeps_nothing(
    serve, archive, tmp_path, capsys
):
    url = await serve(Mirror(archive[:-1] + b"!"))
    assert await kanhe("raccoon_s", "--from", url, "--sha256", sha(archive), "--accept-licence",
                       "--packs", tmp_path) == 1
    assert "checksum differs" in capsys.readouterr().err
    assert not (tmp_path / "raccoon_s").exists()
    assert not list((tmp_path / ".raccoon_s.pull").iterdir())


async def test_endless_data_ends_at_the_stated_size(serve, models, tmp_path):
    entry = known_entry(models, tmp_path)
    url = await serve(Mirror(b"", endless=True))
    with pytest.raises(PackError, match=r"more than the \d+ bytes stated"):
        await asyncio.to_thread(pull, asked(entry.id, url), tmp_path / "shelf", (entry,))
    assert sum(path.stat().st_size for path in (tmp_path / "shelf").rglob("*.part")) == 0


async def test_a_mirror_that_fails_is_named(serve, tmp_path, capsys):
    url = await serve(Mirror(b""))
    code = await kanhe("raccoon_s", "--from", url + "no/such/path", "--sha256", "0" * 64,
                       "--accept-licence", "--packs", tmp_path)
    assert code == 1
    assert "answers 404" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "..\\evil", "C:evil"])
async def test_an_archive_that_points_outside_itself_is_refused(
    models, tmp_path, name, capsys
):
    path = tmp_path / "raccoon_s.zip"
    path.write_bytes(zipped({name: b"x", "manifest.json": json.dumps(FOREIGN).encode(), **models}))
    assert await kanhe("raccoon_s", "--from", path, "--accept-licence", "--packs",
                       tmp_path / "shelf") == 1
    assert "points outside" in capsys.readouterr().err
    assert not any(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("change,words", [
    (lambda m: m.pop("manifest.json"), "0 files manifest.json"),
    (lambda m: m.pop("rec.onnx"), "0 files rec.onnx"),
    (lambda m: m.update({"x/det.onnx": b"twice"}), "2 files det.onnx"),
    (lambda m: m.update({"manifest.json": b"[]"}), "isn't InsightFace's version 2"),
    (lambda m: m.update({"manifest.json": b" " * 300_000}), "too large"),
    (lambda m: m.update({"rec.onnx": b"no model"}), "isn't a whole ONNX model"),
    (lambda m: m.update({"rec.onnx": m["det.onnx"]}), "features of shape"),
])
async def test_an_archive_that_is_no_pack_says_why(models, tmp_path, change, words, capsys):
    members = {"manifest.json": json.dumps(FOREIGN).encode(), **models}
    change(members)
    path = tmp_path / "raccoon_s.zip"
    path.write_bytes(zipped(members))
    assert await kanhe("raccoon_s", "--from", path, "--accept-licence", "--packs",
                       tmp_path / "shelf") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "shelf" / "raccoon_s").exists()


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all"])
async def test_what_is_no_archive_is_refused(tmp_path, data, capsys):
    path = tmp_path / "raccoon_s.zip"
    path.write_bytes(data)
    assert await kanhe("raccoon_s", "--from", path, "--accept-licence", "--packs", tmp_path) == 1
    assert "isn't a whole zip archive" in capsys.readouterr().err


async def test_without_a_known_checksum_nothing_is_fetched(tmp_path, capsys):
    assert await kanhe("raccoon_l", "--accept-licence", "--packs", tmp_path) == 1
    assert "give the archive's with --sha256" in capsys.readouterr().err


async def test_a_source_that_is_not_there_is_said_before_anything_is_asked(tmp_path, capsys):
    assert await kanhe("raccoon_l", "--from", tmp_path / "no.zip", "--packs", tmp_path) == 1
    said = capsys.readouterr().err
    assert "no.zip isn't there" in said
    assert "licence" not in said


async def test_without_consent_nothing_is_fetched(serve, archive, tmp_path, capsys):
    mirror = Mirror(archive)
    url = await serve(mirror)
    assert await kanhe("raccoon_s", "--from", url, "--sha256", sha(archive), "--packs",
                       tmp_path) == 1
    assert "--accept-licence" in capsys.readouterr().err
    assert mirror.asked == []


def asked(name, source="", sha256=""):
    return argparse.Namespace(name=name, source=str(source), accept_licence=True, sha256=sha256)


def known_entry(models, folder, **said) -> Entry:
    for name, data in models.items():
        (folder / name).write_bytes(data)
    files = (file_of(folder / "det.onnx", "detector", "scrfd"),
             file_of(folder / "rec.onnx", "embedder", "arcface-112"))
    return Entry(**{"id": "known", "title": "t", "licence": OWN, "source": "s",
                    "notes": Words("注", "note"), "dimensions": 512, "files": files,
                    "urls": tuple(f"https://models.example/{file.name}" for file in files), **said})


def test_files_in_a_folder_are_held_against_the_catalogue(models, tmp_path):
    entry = known_entry(models, tmp_path)
    folder = pull(asked("known", tmp_path), tmp_path / "shelf", (entry,))
    assert load_manifest(folder).licence == OWN
    with pytest.raises(PackError, match="there already"):
        pull(asked("known", tmp_path), tmp_path / "shelf", (entry,))
    (tmp_path / "det.onnx").write_bytes(models["det.onnx"][:-1] + b"!")
    with pytest.raises(PackError, match=r"det\.onnx is damaged"):
        pull(asked("known", tmp_path), tmp_path / "other", (entry,))
    (tmp_path / "det.onnx").unlink()
    with pytest.raises(PackError, match=r"det\.onnx is missing"):
        pull(asked("known", tmp_path), tmp_path / "other", (entry,))
    assert not list((tmp_path / "other").iterdir())


def test_an_unpacked_archive_serves_as_well(models, tmp_path):
    entry = known_entry(models, tmp_path, urls=("https://models.example/known.zip",),
                        archive_bytes_max=1_000_000)
    assert pull(asked("known", tmp_path), tmp_path / "shelf", (entry,)).name == "known"


def test_an_own_folder_with_a_manifest_is_installed_under_its_id(models, tmp_path):
    entry = known_entry(models, tmp_path)
    write_manifest(tmp_path, list(entry.files), id="own-pack")
    folder = pull(asked("own-pack", tmp_path), tmp_path / "shelf", ())
    assert FaceEngine(folder).pack_id == "own-pack"
    with pytest.raises(ConfigError, match="is the pack own-pack"):
        pull(asked("other", tmp_path), tmp_path / "shelf", ())


def test_the_catalogue_says_licence_weakness_and_only_sound_files():
    entries = {entry.id: entry for entry in load_catalogue()}
    assert set(entries) == {
        "opencv-zoo", "buffalo_sc", "buffalo_s", "buffalo_l", "antelopev2", "raccoon_s",
        "raccoon_l", "minifasnet", "insightface-liveness",
    }
    assert [entry.id for entry in entries.values() if entry.recommended] == ["opencv-zoo"]
    for entry in entries.values():
        assert all(url.startswith("https://") for url in entry.urls)
        assert entry.notes.zh
        assert entry.notes.en
        assert all(size <= FILE_BYTES_MAX for _, size in entry.blobs.values())
        if entry.files:
            check_manifest(entry.manifest(entry.files, entry.dimensions))
        assert entry.licence.commercial == ("InsightFace" not in entry.licence.title)


async def test_list_and_verify_speak_of_every_pack(face_pack_dir, tmp_path, capsysbinary):
    shelf = face_pack_dir.parent
    assert await asyncio.to_thread(main, ["models", "list", "--packs", str(shelf)]) == 0
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    default = next(line for line in lines if line["id"] == "dlib-v1")
    assert default["installed"]
    assert "East Asian" in default["notes"]["en"]
    assert not next(line for line in lines if line["id"] == "opencv-zoo")["installed"]
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}")
    assert await asyncio.to_thread(main, ["models", "verify", "--packs", str(tmp_path)]) == 1
    assert b'"whole":false' in capsysbinary.readouterr().out
    assert await asyncio.to_thread(main, ["models", "verify", "--packs", str(shelf)]) == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer,installs", [("y\n", True), ("\n", False), ("no\n", False)])
def test_a_person_at_a_terminal_is_asked(models, tmp_path, monkeypatch, answer, installs):
    entry = known_entry(models, tmp_path)
    args = asked("known", tmp_path)
    args.accept_licence = False
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    if installs:
        assert pull(args, tmp_path / "shelf", (entry,)).is_dir()
    else:
        with pytest.raises(ConfigError, match="wasn't agreed to"):
            pull(args, tmp_path / "shelf", (entry,))
