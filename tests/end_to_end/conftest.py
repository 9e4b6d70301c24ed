"""What the end-to-end tests share: a project of files and the table `users`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from parts.postgres import PostgresServer

USERS = """
CREATE TABLE users (account text, signup_time timestamptz NOT NULL DEFAULT now());
INSERT INTO users (account) VALUES
    ('amazon'), ('amazon'), ('google'), ('google'), ('google');
"""


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    """Return a function that writes a file of the project."""

    def write_file(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write_file


@pytest.fixture
def users(postgres_server: PostgresServer, database: str) -> str:
    """Return the URI of a database with two users of amazon and three of google."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        for statement in USERS.split(";"):
            connection.execute(statement)
    return database
