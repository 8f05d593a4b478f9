"""The house style, where a machine can see it."""

from __future__ import annotations

import ast
import importlib.util
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("hashlib_interop", "formats", "cli", "benchmarks")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if not any(part.is_symlink() for part in path.parents))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    """Return a path as it is seen from the root."""
    return path.relative_to(ROOT).as_posix()


def public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Yield the public functions and classes of a module, and the public methods of these classes."""
    waiting: list[ast.AST] = list(tree.body)
    for node in waiting:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            waiting += node.body if isinstance(node, ast.ClassDef) else []


def functions(tree: ast.Module) -> list[Function]:
    """Return all functions of a module."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def length(node: Function) -> int:
    """Return the lines of a function's body, the docstring left out."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]


def is_told_elsewhere(node: Function) -> bool:
    """Tell whether a function is described by what it overrides (a stream, click) or by its decorator (a command)."""
    if any("command" in ast.unparse(one) or "group" in ast.unparse(one) for one in node.decorator_list):
        return True
    return node.name in ("readable", "seekable", "writable", "readinto", "seek", "tell", "write", "close", "list_commands", "get_command")


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_what_is_public_is_documented_and_annotated(path) -> None:
    """Modules, classes, functions, methods: docstrings; arguments and results: types."""
    tree = ast.parse(path.read_text())
    if not tree.body:
        return
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in public(tree):
        if isinstance(node, ast.ClassDef) or not is_told_elsewhere(node):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
    for node in functions(tree):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
        assert not bare and node.returns is not None, f"{node.name} is not annotated: {bare}"


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=relative)
def test_modules_and_functions_are_short(path) -> None:
    """No module over 400 lines (tests: 800), no function over 60."""
    text = path.read_text()
    assert len(text.splitlines()) <= (800 if path in TESTS else 400)
    assert not [node.name for node in functions(ast.parse(text)) if length(node) > 60]


@pytest.mark.parametrize("path", sorted((ROOT / "formats").glob("[!_]*.py")), ids=relative)
def test_a_format_is_short_and_in_order(path) -> None:
    """Columns, reader, writer, sniff, FORMAT."""
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    names = {name: text.find(name) for name in ("\ndef read(", "\ndef write(", "\ndef sniff(", "\nFORMAT = ")}
    found = [place for place in names.values() if place >= 0]
    assert found == sorted(found)


def test_functions_are_mostly_tiny() -> None:
    """The median body has at most eight lines."""
    lengths = [length(node) for path in MODULES for node in functions(ast.parse(path.read_text()))]
    assert statistics.median(lengths) <= 8


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=relative)
def test_imports_are_absolute(path) -> None:
    """And `formats` and `cli` are never top-level packages."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert (node.module or "").partition(".")[0] not in ("formats", "cli")
        if isinstance(node, ast.Import):
            assert not [name.name for name in node.names if name.name.partition(".")[0] in ("formats", "cli")]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_words_that_the_house_does_not_use(path) -> None:
    """Classes are nouns of the design's table."""
    names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    words = ("Manager", "Helper", "Utils", "Base", "Parser", "Importer", "Adapter", "Backend")
    assert not [name for name in names if any(word in name for word in words)]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_library_never_prints_or_exits(path) -> None:
    """Progress is a callback; the command line renders."""
    if path.parent.name == "hashlib_interop" or path.parent.name == "formats":
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        names = {n.func.id for n in calls if isinstance(n.func, ast.Name)}
        attributes = {ast.unparse(n.func) for n in calls if isinstance(n.func, ast.Attribute)}
        assert not names & {"print", "exit", "quit"} and not attributes & {"sys.exit", "os._exit"}


def test_the_links_for_type_checkers_are_there() -> None:
    """`hashlib_interop/formats` and `hashlib_interop/cli` lead to the folders at the root."""
    for name in ("formats", "cli"):
        link = ROOT / "hashlib_interop" / name
        assert link.is_symlink() and link.resolve() == ROOT / name
        spec = importlib.util.find_spec(f"hashlib_interop.{name}")
        assert spec is not None and spec.origin is not None and Path(spec.origin).resolve() == ROOT / name / "__init__.py"
