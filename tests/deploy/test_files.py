"""Files of `deploy/`: schemas and lint for what needs an engine, and promises they all make."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from central.config import load_central_config
from central.engine import parse_address
from edge.config import EdgeConfig, load_config
from edge.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
EXAMPLES = sorted((DEPLOY / "examples").glob("*.toml"))
EXPOSURE_MAX = 2.0


def documents(path: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@pytest.mark.parametrize("path", [*EXAMPLES, DEPLOY / "kubernetes" / "node" / "edge.toml"],
                         ids=lambda path: path.stem)
def test_every_example_can_be_used(path, tmp_path):
    config = load_config(path, {})
    assert str(config.data_dir) == "/var/lib/kanhe"
    assert config.listen.port_tries == 1, "gates remember the address"
    # check-config, where this machine's place for it is a temporary folder.
    environ = {"KANHE_EDGE__DATA_DIR": str(tmp_path), "KANHE_EDGE__LISTEN__PORT": "0",
               "KANHE_EDGE__LISTEN__HOST": "127.0.0.1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-m", "kanhe", "edge", "check-config", "--config",
                           str(path)], cwd=ROOT, env=environ, capture_output=True, text=True,
                          check=False, timeout=60)
    named = {key for key, file in (("tls.certificate", config.tls.certificate),
                                   ("central.authority", config.central.authority)) if file}
    errors = set(re.findall(r"^error: (\S+):", done.stderr, re.MULTILINE))
    assert errors == named, done.stderr  # files that only that site has
    assert done.returncode == (1 if named else 0)


def test_the_four_kinds_of_sites_have_an_example():
    assert {path.stem for path in EXAMPLES} == {"bank", "checkpoint", "hotel", "police"}


def test_the_central_platform_of_the_cluster_can_be_used():
    config = load_central_config(DEPLOY / "kubernetes" / "central" / "central.toml", {})
    assert (config.host, config.port_tries) == ("0.0.0.0", 1)


def test_an_example_with_a_typo_would_be_noticed(tmp_path):
    text = EXAMPLES[0].read_text().replace("port_tries", "port_trise")
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match="port_tries"):
        load_config(tmp_path / "x.toml", {})


@pytest.mark.parametrize("name", ["compose.yaml", "redis.yaml"])
def test_compose_follows_the_compose_specification(tmp_path, name):
    def check(path: Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
             str(path)], capture_output=True, text=True, check=False, timeout=60)

    path = DEPLOY / "compose" / name
    assert check(path).returncode == 0, check(path).stdout
    wrong = tmp_path / name
    wrong.write_text(path.read_text().replace("environment:", "enviroment:"))
    assert check(wrong).returncode != 0


def test_compose_holds_the_whole_city_and_gives_no_service_more_than_it_needs():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"postgres", "central", "node", "redis", "prometheus", "grafana"}
    image = (DEPLOY / "Dockerfile").read_text()
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert "privileged" not in service
        if "build" in service:
            assert (DEPLOY.parent / service["build"]["dockerfile"]).is_file()
            assert "USER 10001:10001" in image
            assert "healthcheck" in service or "HEALTHCHECK" in image
        else:
            assert re.fullmatch(r"docker\.io/[a-z/]+:v?\d+(\.\d+){1,2}(-bookworm)?",
                                service["image"]), "a version, not a moving name"
            assert not service["user"].startswith("0:"), name
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / "compose" / source).exists(), volume
            else:
                assert source in compose["volumes"], volume


def test_databases_are_on_networks_without_a_way_out_and_no_password_is_written_down():
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    compose = yaml.safe_load(text)
    for name in ("postgres", "redis"):
        service = compose["services"][name]
        assert "ports" not in service
        assert all(compose["networks"][network]["internal"] for network in service["networks"])
    for variable in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"):
        assert f"${{{variable}:?" in text
    written = re.findall(r"PASSWORD: (\S+)", text)
    assert all(value.startswith("${") for value in written), written


def test_the_environment_of_compose_and_image_is_a_configuration():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    image = dict(re.findall(r"(KANHE_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text()))
    node = load_config(None, {**image, **compose["node"]["environment"]})
    central = load_central_config(None, {**image, **compose["central"]["environment"]})
    assert (node.listen.host, node.tls.names) == ("0.0.0.0", ("node",))
    assert (central.host, central.tls.names) == ("0.0.0.0", ("central",))
    assert node.data_dir == central.data_dir == Path("/var/lib/kanhe")
    assert parse_address(central.database_url).host == "postgres"


@pytest.mark.skipif(not hasattr(EdgeConfig(), "redis"), reason="this version has no [redis]")
def test_what_lets_nodes_share_redis_is_a_configuration():
    compose = yaml.safe_load((DEPLOY / "compose" / "redis.yaml").read_text())["services"]
    node = load_config(None, compose["node"]["environment"])
    assert (node.redis.url, str(node.redis.key_file)) == (
        "redis://redis:6379/0", "/run/secrets/site-key")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server is installed")
def test_redis_starts_with_the_arguments_that_compose_and_cluster_give_it(tmp_path):
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    (cluster,) = [item for item in documents(DEPLOY / "kubernetes" / "node-redis" / "redis.yaml")
                  if item["kind"] == "Deployment"]
    given = [str(word) for word in compose["services"]["redis"]["command"]]
    (container,) = cluster["spec"]["template"]["spec"]["containers"]
    assert given[:-1] == container["args"][:-1]
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        [*given[:-1], "a password", "--port", "0", "--unixsocket", str(socket), "--dir",
         str(tmp_path)], stdout=subprocess.DEVNULL)

    def ask(*words: str) -> str:
        return subprocess.run(
            ["redis-cli", "-s", str(socket), *words], capture_output=True, text=True, check=False,
            timeout=10, env={"PATH": "/usr/bin:/bin", "REDISCLI_AUTH": "a password"}).stdout

    try:
        for _ in range(100):
            if "PONG" in ask("ping"):
                break
            time.sleep(0.05)
        assert "PONG" in ask("ping")
        for key, value in (("maxmemory-policy", "noeviction"), ("save", ""), ("appendonly", "no"),
                           ("maxmemory", str(256 * 1024 * 1024))):
            assert ask("config", "get", key).splitlines() == [key, value]
    finally:
        server.terminate()
        server.wait(20)


def test_the_image_is_built_in_stages_and_runs_without_root():
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [line.split()[0] for line in lines]
    assert words.count("FROM") == 2
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {
        "docker.io/library/python:3.12.11-slim-bookworm"}
    final = lines[len(words) - 1 - words[::-1].index("FROM"):]
    kept = {line.split()[0]: line for line in final}
    assert kept["USER"] == "USER 10001:10001"
    assert "HEALTHCHECK" in kept
    assert json.loads(kept["ENTRYPOINT"].partition(" ")[2]) == ["kanhe"]
    assert "--require-hashes" in text
    assert not re.search(r"\bADD\b|curl|wget|:latest", text)
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY --from") is False
              and line.startswith("COPY")]
    for source in (item for items in copied for item in items):
        assert (ROOT / source).exists(), source
    ignored = (ROOT / ".dockerignore").read_text()
    assert all(f"!{source}" in ignored for items in copied for source in items)


def test_the_program_runs_without_what_the_image_leaves_out(face_pack_dir):
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    first = re.findall(r"uninstall --yes ([a-z -]+?) &&", text)[0].split()
    assert "scipy" in first
    modules = [{"pillow": "PIL"}.get(name, name).replace("-", "_") for name in first]
    script = f'''
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import central.app, edge.app, kanhe.cli, kanhe.commands.central, kanhe.commands.edge
from edge.models.calibration import SHIPPED, load_calibration
from edge.models.engine import FaceEngine
load_calibration(SHIPPED)
FaceEngine(Path({str(face_pack_dir)!r})).warm()
print("runs")
'''
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.stdout == "runs\n", done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("service", ["edge", "central"])
def test_units_leave_little_exposed(service):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         str(DEPLOY / "systemd" / f"kanhe-{service}.service")],
        capture_output=True, text=True, check=False, timeout=60)
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
    assert exposure <= EXPOSURE_MAX, done.stdout
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(DEPLOY / "systemd" / f"kanhe-{service}.service")],
        capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in verified.stderr.splitlines()
                  if f"kanhe-{service}.service" in line and "is not executable" not in line]
    assert not complaints


def test_grafana_is_given_the_dashboards_and_the_source_they_ask():
    (source,) = documents(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")
    assert source["datasources"][0]["type"] == "prometheus"
    (provider,) = documents(DEPLOY / "grafana" / "provisioning" / "dashboards" / "kanhe.yml")
    assert provider["providers"][0]["options"]["path"] == "/etc/kanhe/dashboards"
