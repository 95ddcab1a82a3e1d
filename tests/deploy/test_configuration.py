"""Configurations: what is wrong is explained with its place, and what is written is true."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from central.config import CentralConfig, check_central, load_central_config
from edge.config import EdgeConfig, Limits, check_edge, load_config
from edge.errors import ConfigError
from edge.preflight import try_folder
from edge.settings_text import sections
from kanhe.reference import generated

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534


def refusal(tmp_path, text, environ=None, load=load_config) -> list[str]:
    path = tmp_path / "kanhe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return str(caught.value).splitlines()


def test_everything_wrong_is_said_at_once_with_key_line_and_what_it_takes(tmp_path):
    lines = refusal(tmp_path, '# a node\nlog_level = "loud"\n\n[limits]\n'
                    'deadline_ms = 5000\nbody_bytes_max = "16MB"\n\n[lisen]\nport = 1\n')
    assert len(lines) == 4
    assert "log_level" in lines[0] and "line 2)" in lines[0] and "info" in lines[0]
    assert "line 5)" in lines[1] and "did you mean deadline_s, in seconds?" in lines[1]
    assert "line 6)" in lines[2] and "'16MB'" in lines[2] and "number of bytes" in lines[2]
    assert "line 8)" in lines[3] and "did you mean listen?" in lines[3]


@pytest.mark.parametrize("text,words", [
    ("[limits]\ndeadline_s = 5000\n", "seconds over 0 to 60"),  # milliseconds
    ("[limits]\nbody_s_max = -1\n", "over 0"),
    ("[keys]\ndays_back = 0\n", "number of days from 1 to 30"),
    ("[listen]\nport = 70000\n", "from 0 to 65,535"),
    ("listen = 8080\n", "write [listen]"),
    ("[central]\npoll_s = 2.5\n", "a whole number of seconds"),
    ("[tls]\nmode = \"on\"\n", "one of "),
    ("data_dir = 7\n", "a path"),
])
def test_wrong_units_and_kinds_are_told_what_the_key_takes(tmp_path, text, words):
    (line,) = refusal(tmp_path, text)
    assert words in line
    assert "line " in line


def test_the_central_platform_explains_itself_the_same_way(tmp_path):
    lines = refusal(tmp_path, "prt = 1\ncode_life_s = 0\n[tls]\nmod = 'off'\n",
                    load=load_central_config)
    assert ["port?" in lines[0], "seconds from 1" in lines[1], "line 4" in lines[2]] == [True] * 3


@pytest.mark.parametrize("text", ["[limits", "a = 1\na = 2\n", "\xff"])
def test_what_is_no_toml_says_where(tmp_path, text):
    path = tmp_path / "kanhe.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"isn't TOML: .*(line|position|end of document)"):
        load_config(path, {})


def test_the_environment_overrides_and_is_named_when_it_is_wrong(tmp_path):
    config = load_config(None, {"KANHE_EDGE__LISTEN__PORT": "9000", "KANHE_EDGE__DATA_DIR": "/x",
                                "HOME": "/"})
    assert (config.listen.port, config.data_dir) == (9000, Path("/x"))
    (line,) = refusal(tmp_path, "", {"KANHE_EDGE__LISTEN__PORT": "many"})
    assert "environment variable KANHE_EDGE__LISTEN__PORT" in line
    assert load_central_config(None, {"KANHE_CENTRAL__PORT": "1"}).port == 1
    names = load_config(None, {"KANHE_EDGE__TLS__NAMES": '["node", "kanhe.lan"]'}).tls.names
    assert names == ("node", "kanhe.lan")
    (line,) = refusal(tmp_path, "", {"KANHE_EDGE__TLS__NAMES": "node"})
    assert "a list of texts" in line


def found(config) -> dict[str, tuple[str, str]]:
    check = check_edge if isinstance(config, EdgeConfig) else check_central
    return {item.key: (item.kind, item.words) for item in check(config)}


@pytest.mark.parametrize("service", ["edge", "central"])
def test_a_port_in_use_is_an_error_or_says_which_is_taken_instead(tmp_path, service):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        def of(tries):
            environ = {"KANHE_CENTRAL__DATA_DIR": str(tmp_path), "KANHE_CENTRAL__PORT": str(port),
                       "KANHE_CENTRAL__PORT_TRIES": tries}
            if service == "central":
                return found(load_central_config(None, environ))["port"]
            return found(load_config(None, {
                "KANHE_EDGE__DATA_DIR": str(tmp_path), "KANHE_EDGE__LISTEN__PORT": str(port),
                "KANHE_EDGE__LISTEN__PORT_TRIES": tries}))["listen.port"]

        assert of("1")[0] == "error"
        assert f"{port} is in use" in of("1")[1]
        kind, words = of("20")
        assert kind == "note"
        assert "would take" in words


def test_a_text_of_the_wrong_form_is_told_the_right_one(tmp_path):
    lines = refusal(tmp_path, '[redis]\nprefix = "a b"\n[tracing]\notlp_endpoint = "collector"\n')
    assert "it takes letters, digits and : _ . -" in lines[0]
    assert "begins with http:// or https://" in lines[1]


def test_bounds_that_make_others_moot_are_noted(tmp_path):
    def notes(**limits):
        config = msgspec.structs.replace(
            EdgeConfig(data_dir=tmp_path), limits=Limits(**limits))
        return {key for key, (kind, _) in found(config).items()
                if kind == "note" and key.startswith("limits.")}

    assert notes() == set()
    assert notes(image_bytes_max=17 * 1024**2) == {"limits.image_bytes_max"}
    assert notes(deadline_s=0.2) == {"limits.code_budget_s"}
    assert notes(gate_rate_max_per_s=499.0) == {"limits.gate_rate_max_per_s"}


def test_a_foreign_address_and_a_missing_certificate_are_errors(tmp_path):
    environ = {"KANHE_EDGE__DATA_DIR": str(tmp_path), "KANHE_EDGE__LISTEN__HOST": "192.0.2.1",
               "KANHE_EDGE__TLS__MODE": "given", "KANHE_EDGE__TLS__KEY": "/no/key",
               "KANHE_EDGE__TLS__CERTIFICATE": "/no/certificate",
               "KANHE_EDGE__CENTRAL__AUTHORITY": "/no/authority"}
    seen = found(load_config(None, environ))
    assert {key: seen[key][0] for key in ("listen.port", "tls.certificate", "central.authority")
            } == dict.fromkeys(("listen.port", "tls.certificate", "central.authority"), "error")
    open_to_all = found(load_config(None, {
        "KANHE_EDGE__LISTEN__HOST": "0.0.0.0", "KANHE_EDGE__TLS__MODE": "off",
        "KANHE_EDGE__DATA_DIR": str(tmp_path)}))
    assert "gate credentials" in open_to_all["tls.mode"][1]


def test_a_folder_that_is_a_file_or_lies_under_one_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        (item,) = try_folder("data_dir", folder)
        assert (item.kind, "not a folder" in item.words) == ("error", True)


def as_nobody(look) -> str:
    """Give what another user sees, in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir("/")
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(write, look().encode())
        finally:
            os._exit(0)
    os.close(write)
    words = os.read(read, 4_096).decode()
    os.close(read)
    os.waitpid(child, 0)
    return words


def test_a_folder_without_rights_is_an_error(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    words = repr(list(try_folder("data_dir", folder)))
    if os.geteuid() == 0:  # root may write anywhere: look as somebody else
        words = as_nobody(lambda: repr(list(try_folder("data_dir", folder))))
    assert "kind='error'" in words
    assert "Permission denied" in words


def test_a_data_folder_that_others_may_enter_is_noted(tmp_path):
    tmp_path.chmod(0o755)
    (item,) = try_folder("data_dir", tmp_path)
    assert (item.kind, "chmod 700" in item.words) == ("note", True)
    tmp_path.chmod(0o700)
    assert not list(try_folder("data_dir", tmp_path))


def test_the_command_ends_with_one_and_says_why_or_prints_what_would_be_used(tmp_path):
    def run(service, text):
        path = tmp_path / f"{service}.toml"
        path.write_text(text)
        return subprocess.run(
            [sys.executable, "-m", "kanhe", service, "check-config", "--config", str(path)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    for service in ("edge", "central"):
        good = run(service, f'data_dir = "{tmp_path}"\n')
        assert (good.returncode, '"log_level": "info"' in good.stdout) == (0, True), good.stderr
        assert ("isn't enrolled yet" in good.stderr) == (service == "edge")
        for bad in ('data_dir = "/dev/null/x"\n', "data_dirr = 1\n"):
            done = run(service, bad)
            assert (done.returncode, done.stdout) == (1, "")
            assert "data_dir" in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", sorted(generated()))
def test_what_is_generated_is_current(path):
    assert (ROOT / path).read_text("utf-8") == generated()[path], "python -m kanhe.reference"


@pytest.mark.parametrize("kind", [EdgeConfig, CentralConfig])
def test_every_key_has_words_and_every_number_has_bounds(kind):
    for _, words, keys in sections(kind):
        assert words
        for key in keys:
            assert key.words, key
            if "number" in key.takes:
                assert " to " in key.takes or " below " in key.takes, key


@pytest.mark.parametrize("name,load", [("edge", load_config), ("central", load_central_config)])
def test_the_example_file_is_the_default(name, load):
    assert load(ROOT / "deploy" / f"{name}.example.toml", {}) == load(None, {})
