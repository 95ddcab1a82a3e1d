"""Files of `deploy/`: schemas and lint for what needs an engine, and promises they all make."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from central.config import load_central_config
from edge.config import load_config
from edge.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
EXAMPLES = sorted((DEPLOY / "examples").glob("*.toml"))
CLUSTER = ("central", "node")
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


def test_compose_follows_the_compose_specification(tmp_path):
    def check(path: Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
             str(path)], capture_output=True, text=True, check=False, timeout=60)

    path = DEPLOY / "compose" / "compose.yaml"
    assert check(path).returncode == 0, check(path).stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(path.read_text().replace("read_only: true", "readonly: true"))
    assert check(wrong).returncode != 0


def test_compose_mounts_what_is_there_and_gives_no_service_more_than_it_needs():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / "compose" / source).exists(), volume
            else:
                assert source in compose["volumes"], volume
    for name in ("central", "node"):
        assert compose["services"][name]["read_only"] is True
        assert (DEPLOY.parent / compose["services"][name]["build"]["dockerfile"]).is_file()


def test_the_environment_of_compose_and_image_is_a_configuration():
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    image = dict(re.findall(r"(KANHE_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text()))
    node = load_config(None, {**image, **compose["node"]["environment"]})
    central = load_central_config(None, {**image, **compose["central"]["environment"]})
    assert (node.listen.host, node.tls.names) == ("0.0.0.0", ("node",))
    assert (central.host, central.tls.names) == ("0.0.0.0", ("central",))
    assert node.data_dir == central.data_dir == Path("/var/lib/kanhe")


def kustomized(name: str) -> list[dict]:
    folder = DEPLOY / "kubernetes" / name
    if shutil.which("kubectl"):
        done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True,
                              text=True, check=True, timeout=60)
        return [document for document in yaml.safe_load_all(done.stdout) if document]
    resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [document for resource in resources for document in documents(folder / resource)]


@pytest.mark.parametrize("name", CLUSTER)
def test_manifests_follow_the_schemas_of_kubernetes(name):
    import kubernetes_validate

    found = kustomized(name)
    assert {"StatefulSet", "Service", "NetworkPolicy"} <= {item["kind"] for item in found}
    for item in found:
        kubernetes_validate.validate(item, kubernetes_validate.latest_version(), strict=True)
    broken = json.loads(json.dumps(next(i for i in found if i["kind"] == "StatefulSet")))
    broken["spec"]["replica"] = broken["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", CLUSTER)
def test_pods_run_without_root_and_with_a_read_only_root(name):
    (pod,) = [item["spec"]["template"]["spec"] for item in kustomized(name)
              if item["kind"] == "StatefulSet"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}}
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/var/lib/kanhe", "/etc/kanhe", "/tmp"}


def test_the_image_is_built_in_stages_and_runs_without_root():
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    words = [line.split()[0] for line in lines]
    assert words.count("FROM") == 2
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
