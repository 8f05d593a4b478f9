"""XML records: streaming equals a DOM, both ways through a file agree, and nothing grows without bound."""

from __future__ import annotations

import io
import itertools
import tracemalloc
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashlib_interop import xml_records, xml_scanner
from hashlib_interop.errors import MalformedInput
from hashlib_interop.format import Reading
from hashlib_interop.xml_records import XmlRecords
from hashlib_interop.xml_scanner import Layout
from hashlib_interop.xml_trees import Tree, attributes_xml, escaped, tree_xml

LAYOUT = Layout(
    records=("images/image", "images/deletedImage", "videos/video"),
    columns=("member@id", "member", "id", "prints/md5", "prints/sha1", "more/", "more@at"),
    notes=("images@count", "paging/next"),
    check_root=lambda name, namespace, reading: None,
)
NAMES = ("kind", "member@id", "member", "id", "prints/md5", "prints/sha1", "more@at")
HOLDERS = {"", "prints", "more"}
LEAVES = {"member", "id", "prints/md5", "prints/sha1"}


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes = io.BytesIO(data), itertools.cycle(sizes)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, next(self._sizes)))


def scanned(document: bytes, plain: bool = True, rows: int = 3, sizes: list[int] | None = None) -> list[Any]:
    """Return what the streaming reader finds: kind, row, rest, whether refused, and the raw bytes."""
    stream = Dribble(document, sizes) if sizes else io.BytesIO(document)
    records = XmlRecords(stream, Reading("t.xml", "t", batch_rows=rows), LAYOUT, plain)
    found = []
    for block in records:
        assert len(block.rows) <= rows
        columns = block.columns()
        assert block.first == len(found) + 1
        for index in range(len(block.rows)):
            row = {name: columns[name][index].as_py() for name in NAMES}
            rest = block.rest[index].to_json() if index in block.rest else {}
            found.append((row, rest, index in block.faults, records.raw(block, index)))
    return found


def in_dom(document: bytes) -> list[Any]:
    """Return the same by a document object model, the slow and simple way."""
    found = []
    for container in ET.fromstring(document):
        if container.tag in ("images", "videos"):
            for record in container:
                row = dict.fromkeys(NAMES, "") | {"kind": record.tag}
                rest: Any = {"attributes": {}, "elements": {}}
                refused = _walk(record, "", row, rest, set())
                known = f"{container.tag}/{record.tag}" in LAYOUT.records
                found.append((row, {k: v for k, v in rest.items() if v}, refused or not known))
    return found


def _walk(element: ET.Element, path: str, row: Any, rest: Any, seen: set[str]) -> bool:
    refused = False
    for name, value in element.attrib.items():
        key = f"{path}@{name.lower()}"
        if key in NAMES:
            refused |= key in seen
            seen.add(key)
            row[key] = value
        else:
            rest["attributes"].setdefault(path, {})[name] = value
    if path in LEAVES:
        row[path] = element.text or ""
        return refused or len(element) > 0
    texts = [element.text, *(child.tail for child in element)]
    refused |= any(text and not text.isspace() for text in texts)
    for child in element:
        inner = f"{path}/{child.tag.lower()}".lstrip("/")
        if inner in HOLDERS | LEAVES:
            refused |= inner in seen
            seen.add(inner)
            refused |= _walk(child, inner, row, rest, seen)
        else:
            rest["elements"].setdefault(path, []).append(_tree(child))
    return refused


def _tree(element: ET.Element) -> Any:
    content: list[Any] = [element.text]
    for child in element:
        content += [_tree(child), child.tail]
    kept = [c for c in content if c and (not isinstance(c, str) or not len(element) or not c.isspace())]
    return {
        k: v for k, v in {"name": element.tag, "attributes": element.attrib, "content": kept}.items() if v
    }


# Documents -----------------------------------------------------------------------------------------------

spaces = st.sampled_from(["", "", "", "\n  ", " ", "\t", "\r\n", "<!-- c -->", " <!-- </image> --> "])
words = st.sampled_from(
    ["", "a", "42", "Example", "é", "漢", "😀", " a ", "a\nb", "&amp;", "&#65;", "&lt;b&gt;", "<![CDATA[<x>]]>",
     "a<!-- c -->b", "\x7f", "]]&gt;", "a'b", "  ", "</image".replace("<", "&lt;")]
)  # fmt: skip
values = st.sampled_from(["", "1", "é", "a b", "&quot;", "&#10;", ">", "'"])
strange = st.sampled_from(["href", "note", "Strange-1", "x.y", "image", "video"])


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> str:
    """A stranger with attributes, texts and strangers in it."""
    name = draw(strange)
    attributes = "".join(
        f' {n}="{draw(values)}"' for n in draw(st.sets(st.sampled_from(["a", "rel"]), max_size=2))
    )
    inner = draw(words)
    if depth and draw(st.booleans()):
        inner += draw(trees(depth=depth - 1)) + draw(words)
    return f"<{name}{attributes}>{inner}</{name}>"


def _leaf(name: str, first: str = "") -> st.SearchStrategy[str]:
    return words.map(lambda text: f"<{name}{first}>{text}</{name}>")


prints = st.lists(st.one_of(_leaf("md5"), _leaf("sha1"), _leaf("MD5"), trees()), max_size=3).flatmap(
    lambda parts: spaces.map(lambda space: f"<prints>{space}{space.join(parts)}{space}</prints>")
)
members = st.one_of(
    _leaf("member", ' id="42"'),
    _leaf("member"),
    _leaf("member", ' id="1" spare="x"'),
    _leaf("Member", " ID='7'"),
)
mores = st.one_of(
    st.just("<more/>"), trees().map(lambda t: f'<more at="now">{t}</more>'), st.just('<more at="1"></more>')
)
plain_records = st.builds(
    lambda kind, member, id_, md5, space: (
        f'<{kind}>{space}<member id="{member}">M {member}</member>{space}<id>{id_}</id>{space}'
        f"<prints>{space}<md5>{md5}</md5>{space}</prints>{space}</{kind}>"
    ),
    st.sampled_from(["image", "video", "deletedImage"]),
    st.integers(0, 99),
    st.sampled_from(["x", "é", "a b", ""]),
    st.sampled_from(["00", "ff"]),
    st.sampled_from(["", "\n  "]),
)


@st.composite
def odd_records(draw: st.DrawFn) -> str:
    """A record with anything in it, in any order."""
    kind = draw(st.sampled_from(["image", "image", "video", "deletedImage", "other"]))
    parts = draw(st.lists(st.one_of(members, _leaf("id"), prints, mores, trees()), max_size=5))
    space = draw(spaces)
    stray = draw(st.sampled_from(["", "", "", "", "stray"]))
    spare = draw(st.sampled_from(["", "", ' spare="1"']))
    return f"<{kind}{spare}>{space}{space.join(parts)}{stray}</{kind}>"


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A whole file."""
    records = st.lists(st.one_of(plain_records, plain_records, odd_records()), max_size=6)
    space = draw(spaces)
    containers = "".join(
        f"{space}<{name}>{space}{space.join(draw(records))}{space}</{name}>" for name in ("images", "videos")
    )
    return f'<?xml version="1.0"?>{space}<root>{containers}<paging><next>x</next></paging>{space}</root>\n'.encode()


@settings(deadline=None, max_examples=150)
@given(documents(), st.lists(st.integers(1, 90), min_size=1, max_size=4), st.integers(1, 4))
@example(b"<root><images><image/><image></image></images></root>", [1], 1)
def test_streaming_equals_a_dom_and_both_ways_agree(document: bytes, sizes: list[int], rows: int) -> None:
    """Rows, rest and refusals are those of ElementTree, however the stream is cut, with and without the fast way."""
    slow = scanned(document, plain=False, rows=rows, sizes=sizes)
    assert scanned(document, plain=True, rows=rows, sizes=sizes) == slow
    assert scanned(document, plain=True, rows=100) == slow
    expected = in_dom(document)
    assert len(expected) == len(slow)
    for (row, rest, refused), (row_, rest_, refused_, raw) in zip(expected, slow, strict=True):
        assert refused == refused_
        assert refused or (row, rest) == (row_, rest_)
        assert ET.fromstring(raw).tag == row["kind"]


@pytest.mark.parametrize("plain", [True, False])
def test_a_file_cut_off_anywhere_is_malformed(plain: bool) -> None:
    """Truncated at every byte: our error, never success."""
    document = (
        b'<root xmlns="urn:x"><images count="2">\n<image><member id="1">a</member></image>'
        b"<image><id>&amp;</id><!-- c --></image> </images></root>"
    )
    scanned(document, plain)
    for length in range(len(document)):
        with pytest.raises(MalformedInput, match="cut off"):
            scanned(document[:length], plain)


# Namespaces ----------------------------------------------------------------------------------------------


def test_a_prefix_is_as_good_as_a_default_namespace() -> None:
    """What counts is the namespace, not how it is written."""
    inner = b"<images><image><id>x</id></image></images>"
    default = scanned(b'<root xmlns="urn:x">' + inner + b"</root>")
    prefixed = inner.replace(b"</", b"</p:").replace(b"<i", b"<p:i")
    assert scanned(b'<p:root xmlns:p="urn:x">' + prefixed + b"</p:root>")[0][:3] == default[0][:3]
    assert default[0][0]["id"] == "x"


@pytest.mark.parametrize("plain", [True, False])
def test_records_of_a_redeclared_default_namespace_are_strangers(plain: bool) -> None:
    """The fast way must not take an unprefixed name for one of the format."""
    document = b'<p:root xmlns:p="urn:x" xmlns="urn:y"><p:images><p:image/><image><id>x</id></image></p:images></p:root>'
    first, second = scanned(document, plain)
    assert not first[2] and second[2]
    document = b'<root xmlns="urn:x"><images><p:image xmlns:p="urn:x" xmlns="urn:y"/><image/></images></root>'
    assert [refused for _, _, refused, _ in scanned(document, plain)] == [False, False]


def test_strangers_of_other_namespaces_keep_theirs() -> None:
    """Elements and attributes are kept by `{namespace}local`, and written back as such."""
    document = (
        b'<root xmlns="urn:x"><images><image><e xmlns="urn:y" xmlns:z="urn:z" z:a="1" xml:lang="en"/>'
        b'<f xmlns=""/></image></images></root>'
    )
    rest = scanned(document)[0][1]
    trees_ = rest["elements"][""]
    xml = {"{http://www.w3.org/XML/1998/namespace}lang": "en", "{urn:z}a": "1"}
    assert trees_ == [{"name": "{urn:y}e", "attributes": xml}, {"name": "{}f"}]
    again = "".join(tree_xml(tree) for tree in trees_)
    document = f'<root xmlns="urn:x"><images><image>{again}</image></images></root>'.encode()
    assert scanned(document)[0][1] == rest


# Bounds --------------------------------------------------------------------------------------------------

BOMB = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
DOCTYPES = {
    "entity bomb": f'<!DOCTYPE root [<!ENTITY l0 "lol">{BOMB}]><root>&l11;</root>',
    "quadratic": f'<!DOCTYPE root [<!ENTITY a "{"a" * 50_000}">]><root>{"&a;" * 50_000}</root>',
    "external entity": '<!DOCTYPE root [<!ENTITY x SYSTEM "file:///etc/passwd">]><root>&x;</root>',
    "external subset": '<!DOCTYPE root SYSTEM "http://127.0.0.1:9/x.dtd"><root/>',
    "parameter entity": '<!DOCTYPE root [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><root/>',
    "public": '<!DOCTYPE root PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x"><root/>',
    "plain": "<!DOCTYPE root><root/>",
    "after a comment": f"<!-- {'x' * 70_000} -->\n<!DOCTYPE root []><root/>",
}


@pytest.mark.parametrize("name", DOCTYPES)
def test_a_document_type_is_refused_before_expansion(name: str) -> None:
    """Any DOCTYPE, harmless or not."""
    with pytest.raises(MalformedInput, match="DOCTYPE"):
        scanned(DOCTYPES[name].encode())


def test_an_undefined_entity_is_malformed() -> None:
    """Without a document type there are only the five of XML."""
    with pytest.raises(MalformedInput, match="undefined entity"):
        scanned(b"<root><images><image><id>&x;</id></image></images></root>")


def _in_record(inner: str) -> bytes:
    return f"<root><images><image>{inner}</image></images></root>".encode()


def _attributes(count: int) -> str:
    return "".join(f' a{n}="1"' for n in range(count))


@pytest.mark.parametrize(
    ("fine", "over", "message"),
    [
        ("<a>" * 29 + "</a>" * 29, "<a>" * 30 + "</a>" * 30, "32 elements inside each other"),
        (f"<a{_attributes(64)}/>", f"<a{_attributes(65)}/>", "64 attributes"),
        (f"<id{_attributes(64)}/>", f"<id{_attributes(65)}/>", "64 attributes"),
        (f"<id>{'x' * (1 << 20)}</id>", f"<id>{'x' * ((1 << 20) + 1)}</id>", "characters of text"),
        (f"<a>{'x' * (1 << 20)}</a>", f"<a>{'x' * ((1 << 20) + 1)}</a>", "characters of text"),
        (f"<{'a' * 512}/>", f"<{'a' * 513}/>", "a name of more than 512"),
        (f'<a {"b" * 512}="1"/>', f'<id {"b" * 513}="1"/>', "a name of more than 512"),
        (f'<a b="{"x" * 900_000}"/>', f'<a b="{"x" * 1_200_000}"/>', "a tag or comment"),
        (f"<!--{'x' * 900_000}-->", f"<!--{'x>' * 600_000}-->", "a tag or comment"),
        (f"<?p {'x' * 900_000}?>", f"<?p {'x' * 1_200_000}?>", "a tag or comment"),
        ("<a/>" * 100_000, "<a/>" * 100_001, "unknown elements and attributes"),
    ],
)
def test_bounds(fine: str, over: str, message: str) -> None:
    """Depth, attributes, text, names, tags, comments and strangers: the bound passes, one more is malformed."""
    scanned(_in_record(fine))
    for plain in (True, False):
        with pytest.raises(MalformedInput, match=message):
            scanned(_in_record(over), plain)


def test_depth_is_bounded_outside_the_records_too() -> None:
    """An envelope nested 100,000 deep is refused at 32."""
    with pytest.raises(MalformedInput, match="inside each other"):
        scanned(b"<root>" + b"<a>" * 100_000)


def test_distinct_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name stays in memory to the end, so their number is bounded."""
    monkeypatch.setattr(xml_scanner, "NAMES", 1000)
    names = "".join(f"<image><n{n}/></image>" for n in range(20_000))
    with pytest.raises(MalformedInput, match="distinct names"):
        scanned(f"<root><images>{names}</images></root>".encode())


def test_a_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one record, whatever it holds."""
    monkeypatch.setattr(xml_scanner, "RECORD", 1 << 18)
    with pytest.raises(MalformedInput, match="a record of more than"):
        scanned(_in_record("<!-- x -->" * 60_000))


class Endless(io.RawIOBase):
    """A start, then one piece over and over up to a size."""

    def __init__(self, start: bytes, piece: bytes, size: int) -> None:
        self._start, self._piece, self._left = start, piece * (65536 // len(piece) + 1), size

    def read(self, size: int = -1) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        data = self._piece[: min(size, self._left)]
        self._left -= len(data)
        return data


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"<root><images>", b"<image><id>" + b"x" * 5000 + b"</id></image>"),
        (b"<root><images>", b"<image><a>" + b"x" * 5000 + b"</a></image>"),
        (b"<root>", b"<a>" + b"x" * 5000 + b"</a>"),
        (b"<root><images>", b" " * 60),
        (b"<root><images><image>", b"x" * 60),
        (b"<root><images>", b"<!-- x -->"),
    ],
)
def test_memory_is_bounded_whatever_the_file(
    start: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 MiB of anything need no more than a few blocks (here of 1 MiB)."""
    monkeypatch.setattr(xml_records, "BLOCK", 1 << 20)
    records = XmlRecords(Endless(start, piece, 24 << 20), Reading("t", "t", batch_rows=10**9), LAYOUT)
    tracemalloc.start()
    with pytest.raises(MalformedInput):
        for _ in records:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


# What is counted or refused ------------------------------------------------------------------------------


def test_instructions_and_strangers_outside_the_records_are_counted() -> None:
    """They are skipped, not silently."""
    reading = Reading("t", "t")
    document = (
        b'<?xml version="1.0"?><?style x?><root new="1"><images count="1" new="2"><image><id>a<?p?>b</id></image>'
        b"</images><extra><deep/>text</extra><paging><next>n</next></paging></root>"
    )
    records = XmlRecords(io.BytesIO(document), reading, LAYOUT)
    rows = [row for block in records for row in block.rows]
    assert rows[0][NAMES.index("id")] == b"ab"
    assert reading.dropped == {
        "processing instruction": 2,
        "unknown attribute outside the records": 2,
        "unknown element outside the records": 1,
    }
    assert records.notes == {"images@count": "1", "paging/next": "n"}
    assert records.found == {"images": 1}


def test_text_between_records_is_malformed() -> None:
    """A container holds records, and nothing to read into."""
    with pytest.raises(MalformedInput, match="text between the elements: junk"):
        scanned(b"<root><images><image/>junk<image/></images></root>")


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xef\xbf\xbe", b"\x00", b"\x01"])
@pytest.mark.parametrize("plain", [True, False])
def test_bytes_that_are_no_text_are_malformed(bad: bytes, plain: bool) -> None:
    """Invalid UTF-8 and characters that XML forbids stop the file, in a plain record as anywhere."""
    with pytest.raises(MalformedInput, match="not well-formed"):
        scanned(b"<root><images><image/><image><id>" + bad + b"</id></image></images></root>", plain)


def test_an_error_says_record_and_byte() -> None:
    """The byte is that of the file, whatever was taken the fast way before."""
    start = b"<root><images>" + b"<image><id>x</id></image>" * 7 + b"<image><id>"
    with pytest.raises(MalformedInput, match=f"record 8: .*byte {len(start) + 1:,}"):
        scanned(start + b"<</id></image></images></root>")


def test_a_raw_record_is_given_as_it_stands() -> None:
    """Plain or not, empty or not, with its own end tag."""
    given_ = [
        "<image><id>x</id></image>",
        "<image/>",
        "<image><a/></image>",
        "<image ></image >",
        "<image>&lt;</image>",
    ]
    document = f"<root><images>{' '.join(given_)}</images></root>".encode()
    assert [raw.decode() for *_, raw in scanned(document)] == given_


# Trees ---------------------------------------------------------------------------------------------------


def test_what_xml_cannot_hold_is_not_written() -> None:
    """Control characters, and names that are none."""
    for text in ("\x00", "a\x1b", "\ufffe"):
        with pytest.raises(ValueError, match="cannot hold"):
            escaped(text)
    for name in ("", "a b", "1", "a>", "{urn:x y}a", 'x"'):
        with pytest.raises(ValueError, match="not a name"):
            tree_xml({"name": name})
        with pytest.raises(ValueError, match="not a name"):
            attributes_xml({name: "1"})


def test_white_space_between_elements_is_layout() -> None:
    """It is left out of a tree that holds elements, and kept where it is all that an element has."""
    tree = Tree("a", {})
    for item in (" ", Tree("b", {}), "\n", "x", " "):
        tree.add(item)
    assert tree.to_json() == {"name": "a", "content": [{"name": "b"}, "x"]}
    tree = Tree("a", {})
    tree.add(" ")
    assert tree.to_json() == {"name": "a", "content": [" "]}
