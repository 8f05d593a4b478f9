"""The door: what compressed, encoded, cut or hostile files become, and how outputs appear whole."""

from __future__ import annotations

import bz2
import gc
import gzip
import hashlib
import io
import lzma
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hashlib_interop.errors import BadOption, Busy, FileFault, InteropError, MalformedInput
from hashlib_interop.files import Limits, open_input, private_folder, published

TEXT = b"".join(hashlib.md5(b"synthetic-%d" % n).hexdigest().encode() + b"\n" for n in range(20))


def zipped(**members: bytes) -> bytes:
    """Return a deflated zip; the dates in it are fixed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    """Return one zstd frame with a checksum of its content."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "zip": lambda data: zipped(member=data),
}
STREAMS = sorted(PACK.keys() - {"zip"})


def taken(path: Path, limits: Limits | None = None, encoding: str | None = None) -> list[bytes]:
    """Return what a reader sees of each input behind a path."""
    found = []
    for source in open_input(path, limits):
        with source.stream(encoding=encoding) as stream:
            found.append(stream.read())
    return found


@pytest.fixture(autouse=True)
def _everything_is_closed() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert not [one for one in seen if one.category is ResourceWarning], [str(one.message) for one in seen]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that puts bytes into a file."""

    def put(data: bytes, name: str = "list") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put


# Compression ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(PACK))
def test_compression_is_known_by_content_whatever_the_name(kind, file) -> None:
    """The suffix says nothing; size and SHA-256 are of the file as received."""
    path = file(PACK[kind](TEXT), "list.csv")
    (found,) = open_input(path)
    assert found.compression == kind
    assert taken(path) == [TEXT]
    if kind != "zip":
        assert found.file == hashlib.sha256(path.read_bytes()).digest()
        assert found.size == path.stat().st_size


@pytest.mark.parametrize("kind", STREAMS)
def test_frames_one_after_another_are_one_text(kind, file) -> None:
    """`cat a.gz b.gz` is the text of both; empty frames count for nothing."""
    pack = PACK[kind]
    assert taken(file(pack(TEXT) + pack(b"") + pack(b"end"))) == [TEXT + b"end"]


@pytest.mark.parametrize("kind", sorted(PACK))
def test_cut_data_are_refused_at_every_byte(kind, file) -> None:
    """What is cut anywhere fails; it never looks like a shorter list."""
    whole = PACK[kind](TEXT)
    for length in range(10, len(whole)):
        path = file(whole[:length])
        with pytest.raises(InteropError):
            taken(path)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_cut_second_frame_is_refused_at_every_byte(kind, file) -> None:
    """The standard library's own readers end in silence here."""
    first, second = PACK[kind](TEXT), PACK[kind](b"more")
    for length in range(1, len(second)):
        with pytest.raises(MalformedInput, match="broken or cut off"):
            taken(file(first + second[:length]))


@pytest.mark.parametrize("kind", STREAMS)
def test_junk_behind_the_data_is_refused(kind, file) -> None:
    """A broken second frame must not end the text in silence."""
    with pytest.raises(MalformedInput):
        taken(file(PACK[kind](TEXT) + b"junk"))


@pytest.mark.parametrize("kind", sorted(PACK))
def test_a_flipped_byte_is_refused_or_changes_nothing(kind, file) -> None:
    """Every byte: an error of ours, or the same text (a date, a flag); never another text or exception."""
    whole = bytearray(PACK[kind](TEXT))
    for place in range(len(whole)):
        whole[place] ^= 0x41
        path = file(bytes(whole))
        try:
            (source,) = open_input(path)
            if source.compression is not None:
                assert taken(path) == [TEXT]
        except InteropError:
            pass
        whole[place] ^= 0x41


@given(data=st.binary(max_size=200), kind=st.sampled_from(sorted(PACK)))
@settings(max_examples=100, deadline=None)
def test_junk_after_any_magic_raises_only_our_errors(data, kind, tmp_path_factory) -> None:
    """Whatever follows the first bytes of a format."""
    path = tmp_path_factory.mktemp("junk") / "file"
    path.write_bytes(PACK[kind](b"")[:6] + data)
    try:
        taken(path)
    except InteropError as error:
        assert error.args[0].isprintable()


@pytest.mark.parametrize("kind", sorted(PACK))
def test_a_bomb_is_refused_with_little_memory(kind, file) -> None:
    """48 MiB of zeros in a few kilobytes: refused by ratio after 1 MiB, memory bounded."""
    path = file(PACK[kind](bytes(48 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(MalformedInput, match="a bomb"):
            taken(path)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_the_caps_can_be_set(file) -> None:
    """A higher ratio lets a text through; a cap on output holds whatever the ratio."""
    path = file(gzip.compress(bytes(4 << 20)))
    assert taken(path, Limits(ratio=2000)) == [bytes(4 << 20)]
    with pytest.raises(MalformedInput, match="a bomb"):
        taken(path, Limits(ratio=2000, output=3 << 20))


@pytest.mark.parametrize("outer", sorted(PACK))
@pytest.mark.parametrize("inner", sorted(PACK))
def test_an_archive_in_an_archive_is_refused(outer, inner, file) -> None:
    """Archives are never nested."""
    with pytest.raises(MalformedInput, match="inside an archive"):
        open_input(file(PACK[outer](PACK[inner](TEXT))))


def test_a_text_that_begins_like_bzip2_is_a_text(file) -> None:
    """Three letters make no archive."""
    assert taken(file(b"BZh,a column\n")) == [b"BZh,a column\n"]


# Zip -----------------------------------------------------------------------------------------------------


def test_the_members_of_a_zip_are_inputs_of_their_own(file) -> None:
    """Sorted by name; each with its own name, SHA-256 and size; folders are nothing."""
    path = file(zipped(b=b"two", a=b"one", **{"folder/": b""}))
    first, second = open_input(path)
    assert (first.name, second.name) == (f"{path}!a", f"{path}!b")
    assert first.file == hashlib.sha256(b"one").digest()
    assert taken(path) == [b"one", b"two"]


def test_an_encrypted_zip_is_refused(file) -> None:
    """The flag is enough; no password is ever asked for."""
    data = bytearray(zipped(member=TEXT))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(MalformedInput, match="encrypted"):
        open_input(file(bytes(data)))


def test_an_empty_zip_and_one_with_a_name_twice_are_refused(file) -> None:
    """Nothing to read; nothing to tell apart."""
    with pytest.raises(MalformedInput, match="holds no file"):
        open_input(file(zipped()))
    with pytest.raises(MalformedInput, match="one name twice"):
        open_input(file(zipped(a=b"one", b=b"two").replace(b"b", b"a")))


def test_paths_in_a_zip_are_opaque(file, tmp_path) -> None:
    """Nothing is written where a member's name points to."""
    path = file(zipped(**{"../../escaped": b"x", "/etc/escaped": b"y"}))
    assert sorted(taken(path)) == [b"x", b"y"]
    assert os.listdir(tmp_path) == ["list"]


# Encodings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
        (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [None, "gzip"])
def test_a_byte_order_mark_decides_and_is_gone(mark, codec, kind, file) -> None:
    """UTF-16 and UTF-32 become UTF-8; line ends stay; only the first mark is taken."""
    text = "Ж,漢字,😀\r\n\ufeffx\n" * 50_000
    data = mark + text.encode(codec)
    assert taken(file(PACK[kind](data) if kind else data), Limits(ratio=10_000)) == [text.encode()]


def test_an_encoding_that_is_named_is_used(file) -> None:
    """And a mark goes with it too."""
    assert taken(file("é\n".encode("latin-1")), encoding="latin-1") == ["é\n".encode()]
    assert taken(file(b"\xef\xbb\xbfx"), encoding="UTF_8") == [b"x"]
    assert taken(file("\ufeffx".encode("utf-16-le")), encoding="utf-16-le") == [b"x"]


@pytest.mark.parametrize("data", [b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\xff\xfe\x00\xdca\x00", b"\xff\xfe" + b"a\0" * 999 + b"\0\xd8"])
def test_bad_utf_16_is_refused(data, file) -> None:
    """Half a character, half a surrogate pair."""
    with pytest.raises(MalformedInput, match="not valid utf-16"):
        taken(file(data))


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "\x1b[31m"])
def test_an_unknown_encoding_is_an_error_of_ours(name, file) -> None:
    """Shown without its control characters."""
    with pytest.raises(BadOption, match="unknown encoding") as caught:
        taken(file(b"x"), encoding=name)
    assert str(caught.value).isprintable()


# Files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing", "missing/list"])
def test_a_missing_file_is_a_fault_that_names_it(name, tmp_path) -> None:
    """One line, exit code 5."""
    with pytest.raises(FileFault, match="no such file") as caught:
        open_input(tmp_path / name)
    assert name in str(caught.value)


def test_folders_and_devices_are_no_lists(tmp_path) -> None:
    """Reading /dev/zero would never end."""
    for place in (tmp_path, Path("/dev/zero")):
        with pytest.raises(FileFault):
            open_input(place)


def test_a_pipe_is_read_once_and_kept(tmp_path) -> None:
    """As `<(zcat list.gz)` gives one."""
    os.mkfifo(tmp_path / "pipe")
    feeding = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(TEXT))
    feeding.start()
    assert taken(tmp_path / "pipe") == [TEXT]
    feeding.join()


def test_a_file_that_changes_while_it_is_read_is_refused(file) -> None:
    """A growing export is half a list."""
    path = file(TEXT)
    (source,) = open_input(path)
    with pytest.raises(MalformedInput, match="changed while"), source.stream() as stream:
        stream.read(10)
        path.write_bytes(TEXT * 2)


def test_progress_counts_the_bytes_of_the_file(file) -> None:
    """Up to its size."""
    path, seen = file(gzip.compress(random.Random(1).randbytes(3 << 20))), []
    with open_input(path)[0].stream(lambda *step: seen.append(step)) as stream:
        stream.read()
    assert seen[-1] == (str(path), path.stat().st_size, path.stat().st_size)
    assert [step[1] for step in seen] == sorted(step[1] for step in seen)


@pytest.mark.parametrize("kind", [None, *sorted(PACK)])
def test_a_local_path_holds_the_decompressed_bytes_and_goes(kind, file) -> None:
    """For formats that need a file; the copy is private."""
    (source,) = open_input(file(PACK[kind](TEXT) if kind else TEXT))
    with source.local() as path:
        assert path.read_bytes() == TEXT
        if kind:
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.exists() == (kind is None)


def run(code: str, *args: object, **settings: object) -> subprocess.CompletedProcess[bytes]:
    """Run Python code with our library in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    root = Path(__file__).parents[1]
    return subprocess.run(command, cwd=root, capture_output=True, timeout=60, check=False, **settings)


def test_standard_input_is_kept_in_a_private_file_and_removed(tmp_path) -> None:
    """It has to be read twice: for its SHA-256, and for its records."""
    code = (
        "import os; from hashlib_interop.files import open_input; f, = open_input('-'); s = f.path.stat();"
        "k = f.local(); p = k.__enter__(); same = p.read_bytes() == f.path.read_bytes() == f.path.read_bytes(); k.__exit__(None, None, None);"
        "print(oct(s.st_mode & 0o777), f.name, f.size, same, *os.listdir(os.environ['TMPDIR']))"
    )
    done = run(code, input=TEXT, env={**os.environ, "TMPDIR": str(tmp_path)})
    mode, name, size, same, *there = done.stdout.decode().split()
    assert (mode, name, int(size), same) == ("0o600", "-", len(TEXT), "True")
    assert len(there) == (not Path("/proc/self/fd").is_dir()) and not os.listdir(tmp_path)


# Outputs -------------------------------------------------------------------------------------------------


def test_an_output_appears_whole_with_mode_0600(tmp_path) -> None:
    """Not before it is done; the temporary file and the lock are gone."""
    target = tmp_path / "out"
    before = os.umask(0)
    try:
        with published(target) as temporary:
            temporary.write_bytes(TEXT)
            assert not target.exists() and temporary.parent == tmp_path
    finally:
        os.umask(before)
    assert target.read_bytes() == TEXT and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError, MalformedInput])
def test_a_failed_run_leaves_the_old_file_and_nothing_else(error, tmp_path) -> None:
    """What the operating system says becomes a `FileFault`; the rest passes as it is."""
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(FileFault if error is OSError else error), published(target) as temporary:
        temporary.write_bytes(b"half")
        temporary.with_name(temporary.name + "-journal").write_bytes(b"x")
        raise error("no")
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["out"]


KILLED = """
import sys, time
from hashlib_interop.files import published
with published(sys.argv[1]) as temporary:
    if sys.argv[2] == "written":
        temporary.write_bytes(b"new")
    print("now", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("when", ["opened", "written"])
def test_a_killed_run_leaves_the_old_file_and_the_next_one_sweeps(when, tmp_path) -> None:
    """SIGKILL: no chance to clean up; the next run is not kept out by the lock."""
    target = tmp_path / "out[1]"
    target.write_bytes(b"old")
    command = [sys.executable, "-c", KILLED, str(target), when]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"now\n"
        with pytest.raises(Busy), published(target):
            pass
        child.send_signal(signal.SIGKILL)
    assert target.read_bytes() == b"old"
    assert any(".tmp-" in name for name in os.listdir(tmp_path))
    with published(target) as temporary:
        temporary.write_bytes(b"next")
    assert target.read_bytes() == b"next" and os.listdir(tmp_path) == [target.name]


STEPS = """
import os, sys
from hashlib_interop.files import published
calls = 0
def dying(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    return call
for name in ("open", "close", "fsync", "replace", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
with published(sys.argv[1]) as temporary:
    temporary.write_bytes(b"new")
"""


def test_a_run_killed_at_any_call_leaves_the_old_or_the_new_file(tmp_path) -> None:
    """Killed at the n-th call of the operating system, for n = 1, 2, ... until it lives."""
    target, seen = tmp_path / "out", set()
    for step in range(1, 30):
        target.write_bytes(b"old")
        done = run(STEPS, target, step)
        seen.add(target.read_bytes())
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.returncode == 0 and step > 4
    assert seen == {b"old", b"new"} and os.listdir(tmp_path) == ["out"]


def test_two_writers_of_one_file_do_not_meet(tmp_path) -> None:
    """The second is told; in the same process too. Another file is free."""
    with (
        published(tmp_path / "out"),
        published(tmp_path / "other"),
        pytest.raises(Busy) as caught,
        published(tmp_path / "out"),
    ):
        pass
    assert caught.value.exit_code == 11


def test_writers_in_a_crowd_take_turns(tmp_path) -> None:
    """Whoever is let in is alone: no two at once, the file always whole."""
    inside, most, done = [0], [0], [0]

    def work() -> None:
        for _ in range(40):
            try:
                with published(tmp_path / f"out{0}") as temporary:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    temporary.write_bytes(TEXT)
                    time.sleep(0)
                    inside[0] -= 1
                    done[0] += 1
            except Busy:
                time.sleep(0.001)

    crowd = [threading.Thread(target=work) for _ in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert most[0] == 1 and done[0] > 0 and (tmp_path / "out0").read_bytes() == TEXT
    assert os.listdir(tmp_path) == ["out0"]


FULL = """
import resource, sys
from hashlib_interop.errors import InteropError
from hashlib_interop.files import published
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
try:
    with published(sys.argv[1]) as temporary, temporary.open("r+b") as out:
        for _ in range(100):
            out.write(bytes(4096))
except InteropError as error:
    print(error)
    raise SystemExit(error.exit_code)
"""


def test_a_full_disk_is_a_fault_and_the_old_file_stays(tmp_path) -> None:
    """Exit code 5, one line that names the file, nothing left behind."""
    target = tmp_path / "out"
    target.write_bytes(b"old")
    done = run(FULL, target)
    assert done.returncode == 5, done.stderr
    assert done.stdout.decode() == f"{target}: file too large\n"
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["out"]


def test_targets_that_are_no_files_are_refused_before_any_work(tmp_path) -> None:
    """A folder cannot be replaced, a device must not be, a folder that is missing is named."""
    for target in (tmp_path, Path("/dev/null"), tmp_path / "missing" / "out"):
        with pytest.raises(FileFault) as caught, published(target):
            raise AssertionError
        assert str(target) in str(caught.value)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_private_folder_is_private_and_goes(tmp_path) -> None:
    """Mode 0700, emptied on errors too."""
    with pytest.raises(ValueError), private_folder(tmp_path) as folder:
        (folder / "spill").write_bytes(TEXT)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        raise ValueError
    assert not os.listdir(tmp_path)
