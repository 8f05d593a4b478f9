"""What the tests of the command line share: a runner, and small synthetic lists."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from hashlib_interop.cli.main import cli
from hashlib_interop.columns import decode_hex, rows_without
from hashlib_interop.format import Columns, Format, Option, Reading, Writing, whole
from hashlib_interop.formats import FORMATS, MODULES

HEADER = '{"format":"hashlib_interop/native","version":1}'
EVIL = "x\x1b]0;evil\x07\u202e"
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run the command line in this process."""
    return lambda *arguments: CliRunner().invoke(cli, [str(each) for each in arguments])


def spawn(*arguments: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "hashlib_interop.cli.main", *map(str, arguments)]
    environment = {**os.environ, **settings.pop("env", {})}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **settings)


def row(seed: int, **fields: Any) -> dict[str, Any]:
    """Return a line of a native file: a synthetic MD5, and more fields."""
    return {"md5": hashlib.md5(f"synthetic-{seed}".encode()).hexdigest(), **fields}


def native_text(rows: Iterable[dict[str, Any]]) -> str:
    """Return a native file of these rows."""
    lines = [json.dumps(each, sort_keys=True) for each in rows]
    end = json.dumps({"end": True, "entries": len(lines)})
    return "\n".join([HEADER, *lines, end]) + "\n"


@pytest.fixture
def native(tmp_path: Path) -> Callable[..., Path]:
    """Write a native file of these rows, return its path."""

    def write(*rows: dict[str, Any], name: str = "list.native.jsonl") -> Path:
        path = tmp_path / name
        path.write_text(native_text(rows), encoding="utf-8")
        return path

    return write


def _read_thin(stream: BinaryIO, reading: Reading) -> Iterator[Columns]:
    lines = stream.read().decode().split()[1:]
    reading.fact("greeting", reading.options.get("greeting", "none"))
    reading.drop("thumbnails", 2)
    values, bad = decode_hex(pa.array(lines, pa.string()), 16)
    for number in np.flatnonzero(bad):
        reading.reject(
            int(number) + 1, "not hexadecimal", field="md5", value=lines[number], raw=lines[number]
        )
    kept = {"md5": values, "position": pa.array(range(1, len(lines) + 1), pa.int64())}
    yield rows_without(kept, bad)


def _write_thin(batches: Iterable[pa.RecordBatch], stream: BinaryIO, writing: Writing) -> None:
    stream.write(f"THIN/{writing.options.get('greeting', '')}\n".encode())
    for batch in batches:
        stream.writelines(value.hex().encode() + b"\n" for value in batch.column("md5").to_pylist())


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> Format:
    """Register a format that carries nothing but an MD5, and drops two thumbnails when read."""
    format = Format(
        name="thin",
        title="a test's own format",
        spec="none",
        sniff=lambda head: 90 if head.startswith(b"THIN") else 0,
        read=_read_thin,
        write=_write_thin,
        carries={"md5": whole("md5")},
        unit="line",
        suffixes=(".thin",),
        options=(Option("greeting", "What the first line says."),),
    )
    monkeypatch.setattr("hashlib_interop.formats.MODULES", (*MODULES, "thin"))
    monkeypatch.setitem(FORMATS._loaded, "thin", format)  # type: ignore[attr-defined]
    return format
