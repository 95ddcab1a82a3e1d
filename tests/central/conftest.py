"""The databases that the platform is tested on: SQLite, and a real PostgreSQL if there is one."""

import pytest

from tests.central.desk import desk_of
from tests.central.postgres import Postgres, why_absent


@pytest.fixture(scope="session")
def postgres():
    absent = why_absent()
    if absent:
        pytest.skip(absent)
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request):
    """`database_url` of an empty database; empty for SQLite in the data folder."""
    if request.param == "sqlite":
        return ""
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
async def desk(tmp_path, address):
    async with desk_of(tmp_path, address) as desk:
        yield desk
