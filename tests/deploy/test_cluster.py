"""Manifests of `deploy/kubernetes`: built, checked, and the platform run the way they run it."""

import asyncio
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest
import yaml

from edge.config import EdgeConfig, load_config
from tests.central.conftest import postgres  # noqa: F401 - a fixture
from tests.deploy.conftest import ROOT, Started, kanhe
from tests.deploy.test_files import documents
from tests.fakes.loopback import free_port

FOLDER = ROOT / "deploy" / "kubernetes"
KINDS = {
    "central": {"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy",
                "PodDisruptionBudget", "Service"},
    "central-migrate": {"Job"},
    "node": {"ConfigMap", "NetworkPolicy", "Service", "StatefulSet"},
    "node-redis": {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "StatefulSet"},
}
CONFINED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]}}


def kustomized(name: str) -> list[dict]:
    if shutil.which("kubectl"):
        done = subprocess.run(["kubectl", "kustomize", str(FOLDER / name)], capture_output=True,
                              text=True, check=True, timeout=60)
        return [document for document in yaml.safe_load_all(done.stdout) if document]
    resources = yaml.safe_load((FOLDER / name / "kustomization.yaml").read_text())["resources"]
    return [document for resource in resources if resource.endswith(".yaml")
            for document in documents(FOLDER / name / resource)]


def pods(name: str) -> list[dict]:
    return [item["spec"]["template"]["spec"] for item in kustomized(name)
            if item["kind"] in {"Deployment", "StatefulSet", "Job"}]


def containers(pod: dict) -> list[dict]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", KINDS)
def test_manifests_follow_the_schemas_of_kubernetes(name):
    import kubernetes_validate

    found, version = kustomized(name), kubernetes_validate.latest_version()
    if shutil.which("kubectl"):
        assert {item["kind"] for item in found} == KINDS[name]
    for item in found:
        kubernetes_validate.validate(item, version, strict=True)
    broken = json.loads(json.dumps(next(i for i in found if "template" in i.get("spec", {}))))
    broken["spec"]["templte"] = broken["spec"].pop("template")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


@pytest.mark.parametrize("name", KINDS)
def test_pods_run_without_root_with_a_read_only_root_within_bounds(name):
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"] == CONFINED
            assert {"requests", "limits"} <= set(container["resources"])
        if pod.get("restartPolicy") != "Never":
            for container in pod["containers"]:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl is installed")
def test_images_are_named_by_version_and_mounts_lead_somewhere(name):
    for pod in pods(name):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in containers(pod):
            version = container["image"].rpartition(":")[2]
            assert version[0].isdigit(), container["image"]
            claimed = {"state"}
            for mount in container["volumeMounts"]:
                assert mount["name"] in volumes | claimed


def test_the_autoscaler_scales_the_platform_and_never_below_two():
    found = {item["kind"]: item for item in kustomized("central")}
    scaler, deployment = found["HorizontalPodAutoscaler"]["spec"], found["Deployment"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaler["minReplicas"] >= 2
    assert "replicas" not in deployment["spec"], "two would set it"
    labels = deployment["spec"]["selector"]["matchLabels"].items()
    for kind in ("PodDisruptionBudget", "Service"):
        spec = found[kind]["spec"]["selector"]
        assert spec.get("matchLabels", spec).items() >= labels
    connections = load_tomls("central")["database_connections"] + 1
    assert scaler["maxReplicas"] * connections < 100, "PostgreSQL's own default"


def load_tomls(name: str) -> dict:
    import tomllib

    return tomllib.loads((FOLDER / name / f"{name.replace('node', 'edge')}.toml").read_text())


@pytest.mark.skipif(not hasattr(EdgeConfig(), "redis"), reason="this version has no [redis]")
def test_a_node_with_redis_is_configured_to_use_it():
    patch = yaml.safe_load((FOLDER / "node-redis" / "node.yaml").read_text())
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    given = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    config = load_config(FOLDER / "node" / "edge.toml", given)
    services = {item["metadata"]["name"] for item in
                documents(FOLDER / "node-redis" / "redis.yaml") if item["kind"] == "Service"}
    assert config.redis.url.partition("//")[2].partition(":")[0] in services
    assert str(config.redis.key_file).startswith("/run/kanhe/")


class Replica:
    """What a pod of the platform is: its own folder, the keys as its init container brings them."""

    def __init__(self, folder: Path, secret: Path, database: str, packs: Path) -> None:
        self.data = folder / "data"
        (self.data / "keys").mkdir(parents=True)
        (first,) = pods("central")[0]["initContainers"]
        script = first["args"][0]
        for there, here in (("/etc/kanhe-keys", secret), ("/var/lib/kanhe", self.data)):
            assert there in script
            script = script.replace(there, str(here))
        subprocess.run([*first["command"], script], check=True, timeout=30)
        self.kept = self.files()
        config = folder / "central.toml"
        config.write_text(
            f'data_dir = "{self.data}"\ndatabase_url = "{database}"\nport = {free_port()}\n'
            f'packs_dir = "{packs}"\n')
        self.started = Started(kanhe("central", "run", "--config", str(config)), cwd=folder)

    def files(self) -> dict[str, str]:
        """Give the digests of keys and root."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (*(self.data / "keys").iterdir(), self.data / "root.envelope")}


async def test_replicas_with_the_secret_of_a_first_run_are_one_platform(
    postgres, tmp_path, face_pack_dir  # noqa: F811
):
    """First alone, so that it makes the keys; then replicas with folders of their own."""
    database, packs = postgres.new_database(), face_pack_dir.parent
    config = tmp_path / "first.toml"
    config.write_text(f'data_dir = "{tmp_path / "first"}"\ndatabase_url = "{database}"\n'
                      f'port = {free_port()}\npacks_dir = "{packs}"\n')
    first = Started(kanhe("central", "run", "--config", str(config)), cwd=tmp_path)
    try:
        await asyncio.to_thread(first.url)
    finally:
        assert await asyncio.to_thread(first.stop) == 0, first.errors.read_text()[-2_000:]
    secret = tmp_path / "secret"
    shutil.copytree(tmp_path / "first" / "keys", secret)
    shutil.copy(tmp_path / "first" / "root.envelope", secret)
    for file in secret.iterdir():
        file.chmod(0o440)  # as a cluster mounts it
    token = (secret / "admin.token").read_text().strip()
    replicas = []
    try:
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            replicas.append(Replica(folder, secret, database, packs))
        urls = [await asyncio.to_thread(replica.started.url) for replica in replicas]
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(urls[0] + "/v1/gates", json={
                    "label": "door", "scenes": ["hotel.checkin"]}) as response:
                assert response.status == 201
            async with session.get(urls[1] + "/v1/gates") as response:
                assert [gate["label"] for gate in (await response.json())["gates"]] == ["door"]
        # Neither made a key of its own, so their folder may be read-only.
        assert [replica.files() for replica in replicas] == [
            replica.kept for replica in replicas]
    finally:
        codes = [await asyncio.to_thread(replica.started.stop) for replica in replicas]
    assert codes == [0, 0]
