"""A node of three real processes, whose gates may ask as often as they like."""

import pytest

from tests.crew.site import PROCESSES, Site
from tests.fakes.loopback import free_port


@pytest.fixture
async def site(tmp_path, face_pack_dir, monkeypatch):
    monkeypatch.setenv("KANHE_EDGE__LISTEN__PORT", str(free_port()))
    monkeypatch.setenv("KANHE_EDGE__LISTEN__PORT_TRIES", "1")
    # On a quick machine one gate asks here more often than gates may by default.
    monkeypatch.setenv("KANHE_EDGE__LIMITS__GATE_RATE_PER_S", "100000")
    site = Site(tmp_path, face_pack_dir.parent)
    try:
        yield await site.begin(PROCESSES)
    finally:
        site.stop()
