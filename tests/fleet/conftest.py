"""One PostgreSQL for all tests of a fleet; each has a schema of its own making."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from fleet.postgres_kit import Postgres, postgres
from forebay.store.engine import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A running server."""
    with postgres() as running:
        yield running


@pytest.fixture
def fleet_store(server: Postgres) -> Iterator[Store]:
    """An empty store on it, of this version."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    store = Store(server.url, migrate=True)
    store.open()
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of either kind."""
    if request.param == "postgresql":
        yield request.getfixturevalue("fleet_store")
        return
    path = request.getfixturevalue("tmp_path") / "store.db"
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()
