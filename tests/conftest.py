"""Options of the test run, and what every test relies on."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_UNHEALTHY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=40, deadline=None, suppress_health_check=_UNHEALTHY)
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=_UNHEALTHY)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-cases`: rewrite what the cases expect; `git diff` is the review."""
    parser.addoption("--update-cases", action="store_true", help="rewrite the expectations of tests/cases")
