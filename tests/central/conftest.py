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
def new_address(request):
    """Gives the `database_url` of a new empty database; empty for SQLite in the data folder."""
    if request.param == "sqlite":
        return str
    return request.getfixturevalue("postgres").new_database


@pytest.fixture
def address(new_address):
    """`database_url` of one empty database."""
    return new_address()


@pytest.fixture
async def desk(tmp_path, address):
    async with desk_of(tmp_path, address) as desk:
        yield desk
