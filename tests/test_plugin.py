"""A format from outside: a distribution of its own, installed, known to every command; nothing of ours is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import md5
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parent / "plugin"
KEYS = [md5(b"synthetic-plugin-%d" % number).hexdigest() for number in range(3)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the distribution into a folder, as pip does it for a user."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site"]
    subprocess.run([sys.executable, "-m", "pip", *map(str, words), str(folder / "source")], check=True, timeout=120)
    return folder / "site"


def run(site: Path | None, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, with the folder of the plug-in or without."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if site:
        env["PYTHONPATH"] = str(site)
    command = [str(Path(sys.executable).with_name("hashlib-interop")), *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_an_installed_format_is_a_format(installed: Path, tmp_path: Path) -> None:
    """Listed, sniffed, read, written, its losses counted; its name stands where ours do."""
    listed = run(installed, tmp_path, "formats", "--json")
    assert "ourlist" in [format["name"] for format in json.loads(listed.stdout)]
    (tmp_path / "keys.csv").write_text("md5,series,size\n" + "".join(f"{key},S {at},7\n" for at, key in enumerate(KEYS)))
    columns = "".join(f'{name} = {{ field = "{name}" }}\n' for name in ("md5", "series", "size"))
    (tmp_path / "ours.toml").write_text(f'title = "ours"\n\n[columns]\n{columns}')
    given = ("keys.csv", "--from", "columns", "--option", "mapping=ours.toml")
    there = run(installed, tmp_path, "convert", *given, "-o", "keys.ourlist", "--json")
    assert there.returncode == 0, there.stderr
    assert [(loss["field"], loss["count"]) for loss in json.loads(there.stdout)["losses"]] == [("size", 3)]
    back = run(installed, tmp_path, "convert", "keys.ourlist", "-o", "-", "--to", "native")
    rows = [json.loads(line) for line in back.stdout.splitlines()[1:-1]]
    assert [(row["md5"], row["series"]) for row in rows] == [(key, f"S {at}") for at, key in enumerate(KEYS)]


def test_a_taken_name_stays_ours(installed: Path, tmp_path: Path) -> None:
    """The distribution also claims `vics`."""
    shown = json.loads(run(installed, tmp_path, "formats", "vics", "--json").stdout)
    assert shown["title"].startswith("Project VIC")


def test_without_the_distribution_the_name_is_unknown(tmp_path: Path) -> None:
    """And said so."""
    done = run(None, tmp_path, "formats", "ourlist")
    assert done.returncode and "no format 'ourlist'" in done.stderr
