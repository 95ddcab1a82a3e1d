"""A platform and a node without a network between them."""

import pytest

from tests.offline.site import NodeSide, PlatformSide


@pytest.fixture
async def platform(tmp_path):
    side = await PlatformSide(tmp_path / "central").start()
    yield side
    await side.platform.stop()


@pytest.fixture
async def node(tmp_path, platform):
    return await NodeSide(tmp_path / "edge").join(platform)
