"""The status page in a real browser: rendered, complete, within its own policy."""

import shutil
import subprocess

import pytest

from edge.web.pages import SECURITY_HEADERS, status_page
from edge.web.status import NodeStatus, PackShown
from tests.web.serving import serve_once

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
               None)


def status(**differently) -> NodeStatus:
    from edge.protocol.records import Words

    honest = {
        "version": "1", "node_id": "<script>alert(1)</script>", "ready": True, "not_ready": (),
        "mode": "online", "clock": "trusted", "keys_age_s": 3, "status_age_s": None,
        "key_epochs": (1, 2), "scenes": ("hotel.checkin",), "scenes_unfit": (),
        "replay_scope": "node", "held": {"credentials": 7}, "waiting": {"codes": 0},
        "pack": PackShown("dlib-v1", "t", "public domain", "e.onnx", Words("说明", "notes")),
        "journal": {"size": 4711}, "feed": {"lag": 0}, "last_rung": "zbar", "uptime_s": 9,
    }
    return NodeStatus(**(honest | differently))


def test_whatever_is_shown_is_escaped_and_no_script_may_run():
    page = status_page(status())
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in SECURITY_HEADERS["Content-Security-Policy"]


def test_a_node_that_is_not_ready_says_why():
    page = status_page(status(ready=False, not_ready=("no keys are held yet",)))
    assert "✗" in page
    assert "no keys are held yet" in page


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_the_page(tmp_path):
    with serve_once(status_page(status()), SECURITY_HEADERS) as url:
        done = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path}", "--dump-dom", url],
            capture_output=True, text=True, timeout=60, check=True)
    assert "勘合 Kanhe" in done.stdout
    assert "4711" in done.stdout
