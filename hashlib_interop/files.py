"""The door: paths, standard input and compressed files become one kind of stream; outputs appear whole.

Inside the library a reader sees decompressed bytes, in UTF-8 without a byte order mark. Compression is
known by content, read through with caps on output and ratio, and never nested.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from hashlib_interop.compression import BROKEN, compression_of, decompressor
from hashlib_interop.errors import BadOption, Busy, FileFault, InteropError, MalformedInput, shown

CHUNK = 1 << 20
_NAMELESS = Path("/proc/self/fd")
HEAD = 1 << 16
RATIO = 200
FREE_OUTPUT = 1 << 20
"""Decompressed bytes before the ratio is looked at: small texts compress beyond any sane cap."""

Progress = Callable[[str, int, int], None]
"""Called with the input's name, the bytes of it taken so far, and its size."""

MOST_MEMBERS = 10_000
"""Files in a zip."""


@dataclass(frozen=True)
class Limits:
    """Caps on what compressed input may grow to."""

    ratio: int = RATIO
    output: int = 1 << 40


@dataclass(frozen=True)
class Input:
    """A file at the door. `file` is the SHA-256 of the bytes as received, `size` their number.

    For a member of a zip both speak of the member, and `name` is `archive!member`.
    """

    name: str
    path: Path
    file: bytes
    size: int
    compression: str | None = None
    member: str | None = None
    limits: Limits = field(default_factory=Limits)

    @contextlib.contextmanager
    def stream(self, progress: Progress | None = None, encoding: str | None = None) -> Iterator[BinaryIO]:
        """Open the decompressed bytes, as UTF-8 without BOM (from `encoding`, else by BOM)."""
        with faults_named(self.name), contextlib.ExitStack() as kept:
            raw = kept.enter_context(self.path.open("rb"))
            before = os.fstat(raw.fileno())
            opened = self._opened(_Counted(raw, self, progress), kept)
            yield _as_utf8(opened, self.name, encoding)
            after = os.fstat(raw.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise MalformedInput("the file changed while it was read: read it again", file=self.name)

    def _opened(self, raw: _Counted, kept: contextlib.ExitStack) -> BinaryIO:
        buffered = kept.enter_context(io.BufferedReader(raw, CHUNK))
        if self.compression is None:
            return cast(BinaryIO, buffered)
        if self.compression == "zip":
            archive = kept.enter_context(zipfile.ZipFile(cast(IO[bytes], buffered)))
            return _capped(kept.enter_context(archive.open(str(self.member))), self, lambda: 0)
        return _capped(decompressor(self.compression, cast(BinaryIO, buffered)), self, lambda: raw.taken)

    def head(self, encoding: str | None = None) -> bytes:
        """Return the first 64 KiB as a reader would see them."""
        with self.stream(encoding=encoding) as stream:
            return stream.read(HEAD)

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        """Give a path to the decompressed bytes, for formats that need one (SQLite, Parquet)."""
        if self.compression is None and self.path.parent != _NAMELESS:
            yield self.path
            return
        with private_folder() as folder:
            target = folder / "input"
            with self.stream() as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out, CHUNK)
            yield target


class _Counted(io.RawIOBase):
    """A raw file that reports progress."""

    def __init__(self, raw: IO[bytes], source: Input, progress: Progress | None) -> None:
        self._raw, self._source, self._progress, self.taken = raw, source, progress, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        count: int = cast(io.BufferedReader, self._raw).readinto(buffer)
        self.taken += count
        if self._progress:
            self._progress(self._source.name, self.taken, self._source.size)
        return count


class _Capped(io.RawIOBase):
    """Decompressed bytes, counted; stops where they outgrow the caps."""

    def __init__(self, inner: IO[bytes], source: Input, taken: Callable[[], int]) -> None:
        self._inner, self._source, self._taken, self._given = inner, source, taken, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(min(len(buffer), CHUNK))
        except BROKEN as error:
            if getattr(error, "errno", None):
                raise
            raise _broken(self._source, error) from None
        self._given += len(data)
        self._check()
        buffer[: len(data)] = data
        return len(data)

    def _check(self) -> None:
        limits, taken = self._source.limits, max(self._taken() or self._source.size, 1)
        if self._given > min(limits.output, max(FREE_OUTPUT, limits.ratio * taken)):
            raise MalformedInput(
                f"grows beyond {limits.ratio} times its size when decompressed: a bomb, or decompress it yourself",
                file=self._source.name,
            )


def _broken(source: Input, error: Exception) -> MalformedInput:
    said = shown(error, 200) or type(error).__name__
    return MalformedInput(f"the {source.compression} data is broken or cut off ({said})", file=source.name)


def _capped(inner: IO[bytes], source: Input, taken: Callable[[], int]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Capped(inner, source, taken), CHUNK))


class _Transcoded(io.RawIOBase):
    """Text of another encoding as UTF-8, without byte order mark."""

    def __init__(self, inner: BinaryIO, encoding: str, name: str) -> None:
        try:
            self._text = io.TextIOWrapper(inner, encoding, errors="strict", newline="")
        except LookupError:
            raise BadOption(f"unknown encoding {shown(encoding)!r}", file=name) from None
        self._name, self._rest, self._begun = name, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            text = self._read()
            if not text:
                return 0
            self._rest = (text if self._begun else text.removeprefix("\ufeff")).encode()
            self._begun = True
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _read(self) -> str:
        try:
            return self._text.read(CHUNK // 4)
        except UnicodeError as error:
            raise MalformedInput(f"not valid {self._text.encoding} text ({error})", file=self._name) from None


_UTF8_MARK = b"\xef\xbb\xbf"
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip


def _as_utf8(stream: BinaryIO, name: str, encoding: str | None) -> BinaryIO:
    head = cast(io.BufferedReader, stream).peek(4)[:4]
    chosen = encoding or next((found for mark, found in _MARKS if head.startswith(mark)), "utf-8")
    if chosen.lower().replace("_", "-") not in ("utf-8", "utf8"):
        return cast(BinaryIO, _Decided(_Transcoded(stream, chosen, name), CHUNK))
    if head.startswith(_UTF8_MARK):
        stream.read(len(_UTF8_MARK))
        return cast(BinaryIO, _Decided(cast(io.RawIOBase, stream), CHUNK))
    return stream


class _Decided(io.BufferedReader):
    """A stream whose encoding a byte order mark or the user has decided."""


def recoded(stream: BinaryIO, name: str, encoding: str) -> BinaryIO:
    """Return a stream of the door as UTF-8 from `encoding`, which gives way to a byte order mark and the user."""
    return stream if isinstance(stream, _Decided) else _as_utf8(stream, name, encoding)


def open_input(path: str | os.PathLike[str], limits: Limits | None = None) -> list[Input]:
    """Return the input or inputs behind a path: one, or one a member for a zip.

    `-` is standard input, kept in a temporary file without a name until the process ends. Raises `FileFault`
    where it cannot be read, `MalformedInput` for an archive in an archive.
    """
    name = os.fspath(path)
    limits = limits or Limits()
    with faults_named(name):
        place = _spooled(sys.stdin.buffer) if name == "-" else Path(name)
        mode = place.stat().st_mode
        if stat.S_ISFIFO(mode):
            with place.open("rb") as pipe:
                place = _spooled(pipe)
        elif not stat.S_ISREG(mode):
            raise FileFault("is a folder; name the files in it" if stat.S_ISDIR(mode) else "is no file", file=name)
        with place.open("rb") as raw:
            kind = compression_of(raw.read(16))
            raw.seek(0)
            digest = hashlib.file_digest(raw, "sha256").digest()
        whole = Input(name, place, digest, place.stat().st_size, kind, None, limits)
        return _members(whole) if kind == "zip" else [_not_nested(whole)]


def _members(archive: Input) -> list[Input]:
    try:
        with zipfile.ZipFile(archive.path) as opened:
            infos = sorted((i for i in opened.infolist() if not i.is_dir()), key=lambda i: i.filename)
    except BROKEN as error:
        raise _broken(archive, error) from None
    names = [info.filename for info in infos]
    if not infos or len(infos) > MOST_MEMBERS or len(set(names)) < len(names):
        raise MalformedInput(f"the zip holds no file, over {MOST_MEMBERS}, or one name twice", file=archive.name)
    return [_member(archive, info) for info in infos]


def _member(archive: Input, info: zipfile.ZipInfo) -> Input:
    name = f"{archive.name}!{info.filename}"
    if info.flag_bits & 1:
        raise MalformedInput("the zip is encrypted: unpack it first", file=name)
    size = min(max(info.compress_size, 1), archive.size)
    member = Input(name, archive.path, b"", size, "zip", info.filename, archive.limits)
    hashing = hashlib.sha256()
    try:
        with zipfile.ZipFile(archive.path) as opened, opened.open(info) as inner:
            reader = _capped(inner, member, lambda: 0)
            while chunk := reader.read(CHUNK):
                hashing.update(chunk)
    except InteropError:
        raise
    except BROKEN as error:
        raise _broken(archive, error) from None
    return _not_nested(replace(member, file=hashing.digest()))


def _not_nested(source: Input) -> Input:
    if source.compression and compression_of(source.head()):
        raise MalformedInput("an archive inside an archive: unpack it first", file=source.name)
    return source


def _spooled(stream: IO[bytes]) -> Path:
    """Keep a stream in a file: without a name, where the system lets it be opened again (Linux); nobody finds it."""
    import atexit

    nameless = _NAMELESS.is_dir()
    make: Any = tempfile.TemporaryFile if nameless else tempfile.NamedTemporaryFile
    kept = make(prefix="hashlib-interop-stdin-")
    atexit.register(kept.close)
    shutil.copyfileobj(stream, kept, CHUNK)
    kept.flush()
    return _NAMELESS / str(kept.fileno()) if nameless else Path(kept.name)


@contextlib.contextmanager
def faults_named(name: str) -> Iterator[None]:
    """Turn what the operating system says into a `FileFault` with the file's name and a remedy."""
    try:
        yield
    except InteropError:
        raise
    except OSError as error:
        raise FileFault(f"{(error.strerror or str(error)).lower()}", file=name) from error


@contextlib.contextmanager
def private_folder(within: Path | None = None) -> Iterator[Path]:
    """Give a folder of mode 0700 that is emptied on leaving.

    `within` is the temporary path of `published`: the folder stands beside it under its name, so that what a
    killed run leaves behind is swept with it.
    """
    prefix, parent = (f"{within.name}-", within.parent) if within else (".hashlib-interop-", None)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        yield Path(folder)


def refuse_overwriting(output: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise `BadOption` where the output is one of the inputs: a partner's file is what can prove the rest."""
    for path in inputs:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(output, path):
                raise BadOption("is an input, too, and would be overwritten: choose another name", file=os.fspath(output))


@contextlib.contextmanager
def published(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `target`, mode 0600; on success fsync it and put it in place.

    A killed run leaves the old file whole. `Busy` where another run is writing the same target.
    """
    place = Path(target)
    with faults_named(str(place)), _locked(place):
        if place.exists() and not place.is_file():
            raise FileFault("is no file that could be replaced: choose another name", file=str(place))
        _sweep(place)
        temporary = place.with_name(f".{place.name}.tmp-{os.getpid()}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            yield temporary
            with temporary.open("r+b") as written:
                os.fsync(written.fileno())
            os.replace(temporary, place)
            _sync_folder(place.parent)
        finally:
            _sweep(place)


def _sweep(place: Path) -> None:
    """Remove what this run or killed ones left beside the target; the lock says that no other is alive."""
    for left in place.parent.glob(f".{glob.escape(place.name)}.tmp-*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # pragma: no cover - Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no flock; os.replace keeps outputs whole there
        yield
        return
    lock = place.with_name(f".{place.name}.lock")
    with contextlib.ExitStack() as kept:
        while True:
            held = kept.enter_context(lock.open("a"))
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = "another run is writing this file: wait for it, or choose another name"
                raise Busy(message, file=str(place)) from None
            if _is_at(held, lock):
                break
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _is_at(opened: IO[str], path: Path) -> bool:
    """Tell whether an open file is still the one at `path`: the run before us removes its lock as it ends."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False
