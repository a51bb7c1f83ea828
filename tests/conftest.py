"""What several rooms of tests share: the databases that a journal may stand on, and a broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgresql
from tests.adapters import rabbitmq


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with postgresql.server() as url:
        yield url


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rabbitmq.Broker]:
    with rabbitmq.server(tmp_path_factory.mktemp("rabbitmq")) as started:
        yield started


@pytest.fixture
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which database the test's journals stand on; parametrized with "sqlite" and "postgresql" where both matter."""
    which = getattr(request, "param", "sqlite")
    if which == "postgresql":
        url = postgresql.database(request.getfixturevalue("postgresql_server"))
        monkeypatch.setenv("EPORT_DATABASE_URL", url)
    return str(which)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says BOTH = True runs on both databases."""
    if getattr(metafunc.module, "BOTH", False) and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)
