"""`selftest`: all is well here; and where it is not, that is said."""

from __future__ import annotations

import json

import pytest

from hashlib_interop import selftest
from tests.cli.conftest import Run


def test_all_is_well_on_this_machine(run: Run) -> None:
    """Also without compiled kernels, where some checks are absent."""
    result = run("selftest")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.endswith("all is well\n")


def test_what_fails_is_said_and_the_rest_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "SET_BYTES", "0123")

    def broken(folder: object) -> str:
        raise ValueError("\x1b broken")

    monkeypatch.setitem(selftest.CHECKS, "sort", broken)
    found = {check["name"]: check for check in json.loads(run("selftest", "--json").stdout)}
    assert found["hash set: bytes"]["state"] == found["sort"]["state"] == "FAILED"
    assert found["sort"]["said"] == "ValueError: \\x1b broken"
    assert found["lists to lookup"]["state"] == "ok"
    result = run("selftest")
    assert result.exit_code == 1 and "2 of 7 FAILED" in result.stdout
