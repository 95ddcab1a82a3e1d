"""Alerts: promtool fires each of them, and each leads to its entry of the runbook."""

import re
import shutil
import subprocess

import pytest
import yaml

from tests.fakes.waiting import until
from tests.observability.conftest import DEPLOY, ROOT, SEEN_S_MAX

PROMTOOL = shutil.which("promtool")
RULES = DEPLOY / "prometheus" / "rules.yml"
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool is installed")


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"]
            for rule in group["rules"]]


def promtool(*arguments: str, folder=DEPLOY / "prometheus") -> subprocess.CompletedProcess:
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True,
                          check=False, timeout=120)


@needs_promtool
@pytest.mark.parametrize("arguments", [
    ("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml"),
    ("test", "rules", "rules_test.yml")])
def test_promtool_agrees(arguments):
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("broken", ["vector(1)", "vector(0) > 1"])
def test_an_alert_that_always_or_never_fires_would_be_noticed(tmp_path, broken):
    content = yaml.safe_load(RULES.read_text())
    content["groups"][0]["rules"][0]["expr"] = broken
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(content))
    shutil.copy(DEPLOY / "prometheus" / "rules_test.yml", tmp_path)
    assert promtool("test", "rules", "rules_test.yml", folder=tmp_path).returncode != 0


def test_every_alert_is_fired_and_kept_quiet_by_a_test():
    tests = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yml").read_text())["tests"]
    names = {test["name"] for test in tests}
    want = {f"{rule['alert']} {kind}" for rule in rules() for kind in ("fires", "is quiet")}
    assert names == want


def test_every_alert_leads_to_an_entry_of_the_runbook_and_every_entry_to_an_alert():
    text = (ROOT / "docs" / "runbook.md").read_text()
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
               for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    for rule in rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / path).name == "runbook.md"
        assert anchor in anchors, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
    entries = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert entries == {rule["alert"] for rule in rules()}
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors


@pytest.mark.asyncio(loop_scope="session")
async def test_every_metric_of_an_alert_is_one_that_a_real_city_shows(busy):
    for rule in rules():
        for name in set(re.findall(r"\b((?:kanhe|process)_\w+|up)\b", rule["expr"])):
            async def shown(name=name) -> bool:
                return bool(await busy.query(f"count({name})"))

            try:
                await until(shown, SEEN_S_MAX)
            except TimeoutError:
                pytest.fail(f"{rule['alert']}: {name}")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_healthy_city_wakes_nobody(busy):
    firing = await busy.query('ALERTS{alertstate="firing", severity="page"}')
    assert [sample["metric"]["alertname"] for sample in firing] == []
