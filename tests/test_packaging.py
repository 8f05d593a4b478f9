"""The wheel: everything that is in the folders, under the right names, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"hashlib_interop": "hashlib_interop", "formats": "hashlib_interop/formats", "cli": "hashlib_interop/cli"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel from a copy of the tree (setuptools leaves its own files beside the sources)."""
    copy, out = tmp_path_factory.mktemp("tree") / "tree", tmp_path_factory.mktemp("wheel")
    names = [*FOLDERS, "pyproject.toml", "README.md", "LICENSE"]
    copy.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace('"-O3"', '"-O0"'))  # what is packed is looked at, not how fast it is
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*.whl")
    return zipfile.Path(found)


def packed(wheel: zipfile.Path) -> set[str]:
    """Return the names of the files in the wheel, without its own metadata."""
    return {name for name in wheel.root.namelist() if ".dist-info/" not in name and not name.endswith("/")}


def kept(folder: str, pattern: str) -> set[str]:
    """Return the files of a folder as the wheel should name them; links into other folders left out."""
    base = ROOT / folder
    found = [path for path in base.rglob(pattern) if path.is_file() and "__pycache__" not in path.parts]
    inside = [path.relative_to(base) for path in found]
    own = [path for path in inside if not (folder == "hashlib_interop" and path.parts[0] in ("formats", "cli"))]
    return {f"{FOLDERS[folder]}/{path.as_posix()}" for path in own}


def test_the_wheel_has_the_modules_of_the_folders(wheel) -> None:
    """All of them, once; a sub-folder that is not named in pyproject.toml would be missing."""
    wanted = set().union(*(kept(folder, "*.py") for folder in FOLDERS))
    assert {name for name in packed(wheel) if name.endswith(".py")} == wanted


def test_the_wheel_has_the_data(wheel) -> None:
    """Crosswalk, mappings, the marker of typing; and no file besides modules and data."""
    wanted = set().union(*(kept(folder, "*") for folder in FOLDERS))
    assert "hashlib_interop/py.typed" in packed(wheel)
    assert packed(wheel) == {name for name in wanted if not name.endswith((".pyx", ".c", ".h", ".pyc", ".so", ".md"))} | {
        name for name in packed(wheel) if name.endswith(".so")
    }


def test_no_formats_or_cli_of_the_world(wheel) -> None:
    """Nothing is installed outside `hashlib_interop`."""
    assert {name.partition("/")[0] for name in packed(wheel)} == {"hashlib_interop"}


def test_the_installed_wheel_imports(wheel, tmp_path) -> None:
    """From another folder: ours is found, `formats` and `cli` are not."""
    with zipfile.ZipFile(wheel.root.filename) as archive:
        archive.extractall(tmp_path)
    code = (
        "import importlib.util as u, hashlib_interop.formats as f, hashlib_interop.cli, hashlib_interop.reading as r;"
        "assert f.FORMATS['native'].name == 'native', f; assert not u.find_spec('formats') and not u.find_spec('cli');"
        "print(f.__file__, r.library_version())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place, version = done.stdout.split()
    assert place == f"{tmp_path}/hashlib_interop/formats/__init__.py" and version != "uninstalled"
