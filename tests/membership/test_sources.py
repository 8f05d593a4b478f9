"""Sources of digests: what of a list, a catalog, entries, arrays goes into a set, and what is left out and counted."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashlib_interop import Classification, Entry, merge, write
from hashlib_interop.algorithms import EMPTY_INPUT, Digest
from hashlib_interop.errors import BadDigest, BadOption, BadPolicy, CannotWrite, TooManyRejects
from hashlib_interop.membership import text_lines
from hashlib_interop.membership.digest_keys import keys_of
from hashlib_interop.membership.digest_sources import Lists, algorithm_names, batches
from hashlib_interop.membership.fuse import Filter
from hashlib_interop.membership.hashset import HashSet
from hashlib_interop.membership.hset_payload import Batch
from hashlib_interop.model import About, batch_of
from hashlib_interop.policy import Policy

NSRL = [Classification(scheme="nsrl", code="present")]


def md5(seed: object) -> bytes:
    """Return a made-up digest."""
    return hashlib.md5(f"synthetic-{seed}".encode()).digest()


def sha1(seed: object) -> bytes:
    """Return a made-up digest."""
    return hashlib.sha1(f"synthetic-{seed}".encode()).digest()


def entry(seed: int, source: str = "a", **fields: Any) -> Entry:
    """Return an entry of a made-up file."""
    return Entry(source=source, md5=md5(seed), **fields)


def digests_of(found: Any) -> dict[str, list[bytes]]:
    """Return the digests of batches, sorted, by algorithm."""
    rows = defaultdict(list)
    for batch in found:
        rows[batch.algorithm] += [row.tobytes() for row in batch.keys]
    return {name: sorted(values) for name, values in rows.items()}


def carried(found: Any) -> dict[bytes, tuple[set[int], set[str], set[str]]]:
    """Return what digests carry, joined over the batches: numbers, sources, classifications."""
    rows: dict[bytes, tuple[set[int], set[str], set[str]]] = defaultdict(lambda: (set(), set(), set()))
    for batch in found:
        for place, key in enumerate(batch.keys):
            numbers, sources, classes = rows[key.tobytes()]
            if batch.numbers:
                numbers.add(int(batch.numbers.values[place]))
            for column, into in ((batch.sources, sources), (batch.classifications, classes)):
                into.update(column.sets[column.codes[place]] if column else ())
    return dict(rows)


def listed(path: Path, *entries: Entry, name: str = "list.native.jsonl") -> Path:
    """Write entries as a list."""
    write(list(entries), path / name)
    return path / name


def test_the_first_bad_line_of_an_open_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number, also where the file is read in several pieces."""
    lines = [md5(k).hex().encode() for k in range(40)]
    lines[30:30] = [b"", b"not a digest"]
    for piece in (100, 1 << 22):
        monkeypatch.setattr(text_lines, "BLOCK", piece)
        with pytest.raises(BadDigest, match="^line 32: not hex of md5: not a digest$"):
            list(batches(io.BytesIO(b"\n".join(lines)), "md5"))


# Objects -------------------------------------------------------------------------------------------------

KEYS = np.frombuffer(b"".join(md5(k) for k in range(5)), np.uint8).reshape(-1, 16)
COLUMN = pa.array([md5(0), None, md5(1), md5(2), md5(3), md5(4)], pa.binary(16))
SOURCES = {
    "array": KEYS,
    "array with steps": np.repeat(KEYS, 2, axis=0)[::2],
    "arrow": COLUMN,
    "arrow, sliced": pa.chunked_array([COLUMN[:3], COLUMN[3:]]),
    "bytes": [md5(k) for k in range(5)],
    "generator": (md5(k) for k in range(5)),
    "hex": [md5(k).hex().upper() for k in range(5)],
    "digests": [Digest("md5", md5(k)) for k in range(5)],
    "entries": [entry(k) for k in range(5)],
    "batch of entries": batch_of([entry(k) for k in range(5)]),
    "table of entries": pa.Table.from_batches([batch_of([entry(k)]) for k in range(5)]),
    "batch": Batch("md5", KEYS),
    "several": [KEYS[:2], COLUMN, Batch("md5", KEYS[3:])],
}


@pytest.mark.parametrize("name", SOURCES)
def test_any_object_that_holds_digests_is_a_source(name: str) -> None:
    found = digests_of(batches(SOURCES[name]))
    assert {key: sorted(set(values)) for key, values in found.items()} == {
        "md5": sorted(md5(k) for k in range(5))
    }


@given(
    rows=st.lists(
        st.sampled_from([16, 20, 28, 32, 48, 64]).flatmap(lambda w: st.binary(min_size=w, max_size=w))
    )
)
def test_bytes_are_parted_by_their_width(rows: list[bytes]) -> None:
    """Nothing is lost, nothing added; repeats stay."""
    found = digests_of(batches(rows))
    assert sorted(value for values in found.values() for value in values) == sorted(rows)


def test_algorithms_may_be_chosen_in_any_spelling() -> None:
    entries = [entry(k, sha1=sha1(k)) for k in range(3)]
    assert set(digests_of(batches(entries))) == {"md5", "sha1"}
    assert set(digests_of(batches(entries, "SHA-1"))) == {"sha1"}
    assert set(digests_of(batches([md5(1), sha1(1)], ["md5"]))) == {"md5"}
    assert algorithm_names(["sha224", "MD5"]) == ("md5", "sha224")
    with pytest.raises(BadDigest):
        list(batches(entries, "crc32"))


@pytest.mark.parametrize(
    "source", [7, {1: 2}, io.StringIO("00" * 16), [7], pa.table({"md5": [b"x"]}), [object()]]
)
def test_what_is_no_source_is_an_error(source: Any) -> None:
    with pytest.raises(TypeError):
        list(batches(source))


@pytest.mark.parametrize("rows", [[b"short"], ["zz" * 16], ["ab"], [Digest("md5", sha1(1))]])
def test_what_is_no_digest_is_an_error(rows: list[Any]) -> None:
    with pytest.raises(BadDigest):
        list(batches(rows))


def test_keys_of_buffers_and_lists_say_what_they_want() -> None:
    assert keys_of(KEYS.tobytes(), 16)[0].tolist() == KEYS.tolist()
    assert keys_of([], 20)[0].shape == (0, 20) and len(keys_of([])[0]) == 0
    assert keys_of(pa.array([md5(1), None], pa.binary()))[1].tolist() == [True, False]
    assert keys_of(pa.array([], pa.binary(16)))[0].shape == (0, 16)
    for wrong, width in (([md5(1), sha1(1)], None), (bytes(33), 16), (KEYS, 20), (COLUMN, 20), (["text"], None)):
        with pytest.raises(BadDigest):
            keys_of(wrong, width)
    for wrong in (bytes(32), [7], pa.array([1])):
        with pytest.raises(TypeError):
            keys_of(wrong)


# Lists ---------------------------------------------------------------------------------------------------


def test_a_list_brings_who_lists_a_digest_and_as_what(tmp_path: Path) -> None:
    said = [Classification(scheme="vics/US", code="1"), Classification(scheme="ncmec/industry", code="A1")]
    both_said = entry(1, "first", sha1=sha1(1), classifications=said)
    one = listed(tmp_path, both_said, entry(2, "first"), name="one.native.jsonl")
    two = listed(tmp_path, entry(1, "second", classifications=said[:1]), name="two.native.jsonl")
    lists = Lists(paths=[f"first={one}", f"second={two}"])
    both = {"vics/US:1", "ncmec/industry:A1"}
    assert carried(batches(lists)) == {
        md5(1): (set(), {"first", "second"}, both),
        md5(2): (set(), {"first"}, set()),
        sha1(1): (set(), {"first"}, both),
    }
    assert (lists.entries, dict(lists.digests), lists.rejected) == (3, {"md5": 3, "sha1": 1}, 0)
    assert not lists.left_out


def test_what_nobody_asserts_is_left_out_and_counted(tmp_path: Path) -> None:
    """Retracted entries, votes, known files, digests that say nothing, entries without a digest that is wanted."""
    about = About(source="a", ref="md5:x")
    path = listed(
        tmp_path,
        entry(1),
        entry(2, ref="r2", state="retracted"),
        entry(3, ref="r3", about=about, vote="up"),
        entry(4, classifications=NSRL),
        entry(5, classifications=[*NSRL, Classification(scheme="vics/US", code="1")]),
        Entry(source="a", md5=EMPTY_INPUT["md5"]),
        Entry(source="a", md5=bytes(16), sha1=sha1(6)),
        Entry(source="a", sha256=hashlib.sha256(b"synthetic").digest()),
    )
    lists = Lists(("md5", "sha1"), paths=[path])
    assert digests_of(batches(lists)) == {"md5": sorted([md5(1), md5(5)]), "sha1": [sha1(6)]}
    assert dict(lists.left_out) == {
        "retracted entries": 1,
        "votes and decisions": 1,
        "entries that only say that a file is known": 1,
        "digests of empty input or of one repeated byte": 2,
        "entries without a digest that is wanted": 1,
    }


def test_entries_are_numbered_where_that_is_asked_for(tmp_path: Path) -> None:
    """By their place among all that were read; a digest met again has the first one's."""
    one = listed(tmp_path, entry(1), entry(2, ref="r2", state="retracted"), entry(3))
    two = listed(tmp_path, entry(3), entry(5), name="two.native.jsonl")
    with HashSet.build(Lists(paths=[one, two]), payload=("numbers", "sources")) as found:
        numbers = [found.get(md5(n)).number for n in (1, 3, 5)]  # type: ignore[union-attr]
        assert numbers == [0, 2, 4] and found.info.numbers == "entry" and md5(2) not in found
    entries = [entry(1), entry(4)]
    with HashSet.build(entries, payload=("numbers",)) as found:
        assert [found.get(md5(n)).number for n in (1, 4)] == [0, 1]  # type: ignore[union-attr]
    with HashSet.build(entries) as found:
        assert found.info.numbers is None


def test_known_files_are_taken_where_they_are_asked_for(tmp_path: Path) -> None:
    path = listed(tmp_path, entry(4, classifications=NSRL))
    assert digests_of(batches(Lists(paths=[path]))) == {}
    assert digests_of(batches(Lists(known_files=True, paths=[path]))) == {"md5": [md5(4)]}


VERSIONS = {
    "taken back": ([{"state": "retracted"}], True),
    "another digest": ([{"seed": 2}], True),
    "the same again": ([{}], False),
    "the same digest, later": ([{"seq": 4}], False),
    "both taken back": ([{"state": "retracted", "seq": 1}], False),
}


@pytest.mark.parametrize("case", VERSIONS)
@pytest.mark.parametrize("files", [1, 2])
def test_lists_that_hold_an_entry_in_several_versions_are_for_merge(
    case: str, files: int, tmp_path: Path
) -> None:
    """Which of them counts is not for a set to guess; in one list or in two of a source."""
    changes, refused = VERSIONS[case]
    first = {"state": "retracted"} if case == "both taken back" else {}
    made = [
        entry(1, ref="r/1", **first),
        *(entry(change.pop("seed", 1), ref="r/1", **change) for change in map(dict, changes)),
    ]
    parts = [made] if files == 1 else [[one] for one in made]
    paths = [f"a={listed(tmp_path, *part, name=f'{k}.native.jsonl')}" for k, part in enumerate(parts)]
    if refused:
        with pytest.raises(CannotWrite, match="merge the lists"):
            list(batches(Lists(paths=paths)))
        for source in (made, map(Path, paths)):
            with pytest.raises(CannotWrite):
                list(batches(source))
    else:
        assert len(list(batches(Lists(paths=paths)))) <= 2


def test_plain_hashes_are_taken_as_the_one_algorithm_that_is_asked_for(tmp_path: Path) -> None:
    """Never by their length alone."""
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{md5(k).hex()}\n" for k in range(3)) + "nonsense\n")
    lists = Lists(("md5",), paths=[path], settings={"format": "plain"})
    assert digests_of(batches(lists)) == {"md5": sorted(md5(k) for k in range(3))}
    assert lists.rejected == 1
    with pytest.raises(Exception, match="algorithm"):
        list(batches(Lists(paths=[path], settings={"format": "plain"})))


def test_a_path_alone_says_what_is_rejected_first(tmp_path: Path) -> None:
    """Nobody would be told the count: a text, a `Path`, several of them; sets and filters."""
    path = tmp_path / "list.jsonl"
    lines = listed(tmp_path, entry(1), entry(2)).read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "nonsense\n", *lines[3:]]))
    found = Lists(paths=[path])
    assert digests_of(batches(found)) == {"md5": [md5(1)]} and found.rejected == 1
    for source in (path, str(path), [path]):
        for made_of in (HashSet, Filter):
            with pytest.raises(TooManyRejects, match="line 3"):
                made_of.build(source, tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_numbers_go_on_from_file_to_file(tmp_path: Path) -> None:
    """Of several paths, as of `Lists` of them; a list of bare hashes has numbers, too."""
    first, second = listed(tmp_path, entry(1), entry(2)), listed(tmp_path, entry(3), name="b.native.jsonl")
    bare = tmp_path / "list.txt"
    bare.write_text("".join(f"{md5(k).hex()}\n" for k in (4, 5, 6)))
    for source in ([first, second, bare], Lists(paths=[first, second, bare])):
        with HashSet.build(source, algorithm="md5", payload=("numbers",)) as found:
            assert [found.get(md5(k)).number for k in range(1, 7)] == list(range(6))  # type: ignore[union-attr]


def test_nobody_speaks_for_another_source(tmp_path: Path) -> None:
    """As with merge: a list that names its sources cannot be given another name."""
    path = listed(tmp_path, entry(1, "a"))
    with pytest.raises(BadPolicy, match="holds statements of a"):
        list(batches(Lists(paths=[f"b={path}"])))
    with pytest.raises(BadOption, match="names its sources"):
        list(batches(Lists(paths=[f"b={catalog(tmp_path, entry(1))}"])))


def test_a_release_date_means_nothing_here(tmp_path: Path) -> None:
    path = listed(tmp_path, entry(1))
    with pytest.raises(BadOption, match="merge"):
        list(batches(Lists(paths=[f"a@2025-03-01={path}"])))


# Catalogs ------------------------------------------------------------------------------------------------


def catalog(folder: Path, *entries: Entry, policy: Policy | None = None) -> Path:
    """Merge entries into a catalog."""
    path = listed(folder, *entries, name="all.native.jsonl")
    merge([path], folder / "all.db", policy=policy)
    return folder / "all.db"


def test_a_catalog_brings_items_sources_and_classifications(tmp_path: Path) -> None:
    """Of the entries that count; the SHA-256 of the catalog says whose numbers they are."""
    said = [Classification(scheme="vics/US", code="1")]
    path = catalog(
        tmp_path,
        entry(1, "a", sha1=sha1(1), classifications=said),
        entry(1, "b", classifications=[Classification(scheme="vics/US", code="2")]),
        entry(2, "b", ref="r/2"),
        entry(3, "b", ref="r/3", state="retracted"),
        Entry(source="b", md5=EMPTY_INPUT["md5"], sha1=sha1(4)),
    )
    lists = Lists(paths=[path])
    found = list(batches(lists))
    rows = carried(found)
    assert {key: row[1:] for key, row in rows.items()} == {
        md5(1): ({"a", "b"}, {"vics/US:1", "vics/US:2"}),
        sha1(1): ({"a"}, {"vics/US:1"}),
        md5(2): ({"b"}, set()),
        sha1(4): ({"b"}, set()),
    }
    assert rows[md5(1)][0] == rows[sha1(1)][0] != rows[md5(2)][0]
    assert {batch.numbers.catalog for batch in found if batch.numbers} == {
        hashlib.sha256(path.read_bytes()).hexdigest()
    }
    assert lists.left_out == {"retracted entries": 1, "digests of empty input or of one repeated byte": 1}


def test_items_that_only_known_file_lists_hold_are_left_out(tmp_path: Path) -> None:
    """Of an item that somebody else lists, the known-file list is said among the sources."""
    said = [Classification(scheme="vics/US", code="1")]
    path = catalog(
        tmp_path,
        entry(1, "nsrl", classifications=NSRL),
        entry(2, "nsrl", classifications=NSRL),
        entry(2, "a", classifications=said),
    )
    lists = Lists(paths=[path])
    assert {key: row[1] for key, row in carried(batches(lists)).items()} == {md5(2): {"a", "nsrl"}}
    assert lists.left_out == {"items that only lists of known files hold": 1}
    assert set(carried(batches(Lists(known_files=True, paths=[path])))) == {md5(1), md5(2)}


def test_items_in_conflict_are_left_out_where_the_policy_drops_them(tmp_path: Path) -> None:
    entries = [
        entry(1, "a", classifications=[Classification(scheme="vics/US", code="1")]),
        entry(1, "b", classifications=[Classification(scheme="vics/US", code="2")]),
        entry(2, "b"),
    ]
    kept, dropped = tmp_path / "kept", tmp_path / "dropped"
    for folder in (kept, dropped):
        folder.mkdir()
    assert set(carried(batches(catalog(kept, *entries)))) == {md5(1), md5(2)}
    lists = Lists(paths=[catalog(dropped, *entries, policy=Policy(on_conflict="drop"))])
    assert set(carried(batches(lists))) == {md5(2)}
    assert lists.left_out == {"items in conflict, which the policy of the catalog drops": 1}


# Hash sets -----------------------------------------------------------------------------------------------


def test_a_hash_set_is_a_source_with_all_that_it_carries(tmp_path: Path) -> None:
    """So that a set of one algorithm, or of several sets, can be made of sets."""
    said = [Classification(scheme="vics/US", code="1")]
    path = catalog(tmp_path, entry(1, "a", sha1=sha1(1), classifications=said), entry(1, "b"), entry(2, "b"))
    HashSet.build(path, tmp_path / "all.hset").close()
    with HashSet.open(tmp_path / "all.hset") as hash_set:
        assert carried(batches(hash_set)) == carried(batches(path)) == carried(batches(tmp_path / "all.hset"))
        assert digests_of(batches(hash_set, "sha1")) == {"sha1": [sha1(1)]}
        assert {batch.numbers.catalog for batch in batches(hash_set) if batch.numbers} == {
            hash_set.info.catalog
        }
    HashSet.build(KEYS, tmp_path / "bare.hset").close()
    assert [batch.sources for batch in batches(tmp_path / "bare.hset")] == [None]


def test_a_filter_is_no_source(tmp_path: Path) -> None:
    Filter.build(KEYS, tmp_path / "x.hfilter").close()
    with pytest.raises(CannotWrite, match="filter"):
        list(batches(tmp_path / "x.hfilter"))
