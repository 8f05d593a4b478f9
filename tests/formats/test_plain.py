"""Plain digests: the algorithm is said, a line is an entry."""

from __future__ import annotations

import hashlib

import pytest

from hashlib_interop.algorithms import ALGORITHMS
from hashlib_interop.errors import BadPolicy, MalformedInput
from hashlib_interop.formats.plain import FORMAT
from hashlib_interop.model import Entry
from hashlib_interop.reading import open_readers, read
from hashlib_interop.writing import write


def hexes(seed: int) -> dict[str, str]:
    """Return a synthetic digest of every algorithm, hex."""
    return {name: hashlib.new(name, b"synthetic-%d" % seed).hexdigest() for name in ALGORITHMS}


def test_a_bare_hash_needs_its_algorithm(tmp_path) -> None:
    """32 characters are also NTLM: the message says how to say it, and where."""
    path = tmp_path / "list"
    path.write_text(f"# NTLM?\n{hexes(1)['md5']}\n")
    with pytest.raises(MalformedInput, match="line 2: a hash without its algorithm.*--option algorithm=md5"):
        list(read(path, format="plain"))
    assert [e.ref for e in read(path, format="plain", options={"algorithm": "MD-5"})] == [
        f"md5:{hexes(1)['md5']}"
    ]
    with pytest.raises(BadPolicy, match="option algorithm: unknown algorithm 'ntlm'"):
        list(read(path, format="plain", options={"algorithm": "ntlm"}))


def test_the_option_does_not_overrule_a_name_on_the_line(tmp_path) -> None:
    """And a hash of another length is refused, not taken for another algorithm."""
    path, known = tmp_path / "list", hexes(1)
    path.write_text(f"sha1 {known['sha1']}\n{known['md5']}\n{known['sha256']}\n")
    (one,) = open_readers(path, format="plain", options={"algorithm": "md5"})
    assert [e.ref[:4] for e in one] == ["sha1", "md5:"]
    assert [(r.position, r.reason) for r in one.rejects] == [(3, "not 32 hex characters (md5)")]


def test_the_strongest_digest_is_written(tmp_path) -> None:
    """The weaker ones are losses: a line is an entry, two lines would be two."""
    done = write(
        [Entry(source="a", **hexes(1)), Entry(source="a", md5=hexes(2)["md5"])],
        tmp_path / "o",
        format="plain",
    )
    assert (tmp_path / "o").read_text() == f"sha512 {hexes(1)['sha512']}\nmd5 {hexes(2)['md5']}\n"
    assert {loss.field: loss.count for loss in done.losses} == {"md5": 1, "sha1": 1, "sha256": 1, "sha384": 1}


def test_the_option_chooses_the_digest(tmp_path) -> None:
    """An entry without it is a lost record."""
    given = [Entry(source="a", **hexes(1)), Entry(source="a", sha1=hexes(2)["sha1"])]
    done = write(given, tmp_path / "o", format="plain", options={"algorithm": "md5"})
    assert (tmp_path / "o").read_text() == f"md5 {hexes(1)['md5']}\n"
    assert ("record", "no md5") in [(loss.field, loss.reason) for loss in done.losses]


def test_sniffing_says_how_sure_it_is() -> None:
    """With algorithms, bare and of one length, mixed, or anything else."""
    known = hexes(1)
    named = "".join(f"{name}:{text}\n" for name, text in known.items()).encode()
    assert FORMAT.sniff(b"# comment\r\n\r\n" + named) == 60
    assert FORMAT.sniff(f"{known['md5']}\n{known['md5']}".encode()) == 40
    for head in (
        f"{known['md5']}\n{known['sha1']}\n",
        f"ntlm {known['md5']}\n",
        f"{known['md5']}  a.jpg\n",
        "word\n",
        "",
        "#\n",
    ):
        assert FORMAT.sniff(head.encode()) == 0
    cut = named * 200
    assert FORMAT.sniff(cut[: 1 << 16]) == 60
