"""Makes the synthetic ReportIndex files of tests/cases/c4p beside a made-up sample: run it to make them again."""

from __future__ import annotations

import hashlib
from pathlib import Path

HERE = Path(__file__).parent / "c4p"


def md5(seed: int) -> str:
    """Return a synthetic digest, hex."""
    return hashlib.md5(b"synthetic-%d" % seed).hexdigest()


def record(kind: str, **elements: str) -> str:
    """Return a record as the exporters write it."""
    return f"  <{kind}>\r\n" + "".join(f"    <{n}>{t}</{n}>\r\n" for n, t in elements.items()) + f"  </{kind}>\r\n"


def index(version: str, *records: str, end: str = "</ReportIndex>\r\n") -> str:
    """Return a file."""
    return f'<?xml version="1.0" encoding="utf-16"?>\r\n  <ReportIndex {version}>\r\n{"".join(records)}{end}'


def put(name: str, text: str, note: str, encoding: str = "utf-16", options: str = "") -> None:
    """Write a case."""
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.xml").write_bytes(text.encode(encoding))
    (folder / "note.md").write_text(f"{note} Synthetic (tests/cases/_c4p.py).\n")
    if options:
        (folder / "options.toml").write_text(options)


FULL = r"<![CDATA[Case 7\Disk.E01\Users\somebody\%s]]>"
MOVIE = record("Movie", path=r"<![CDATA[Files\1\]]>", movie="00000001.mp4", category="3", id="1", fileoffset="0",
               fullpath=FULL % "a & b.mp4", created="1704099600", accessed="", written="1704099601", deleted="",
               hash=md5(1), encaseHash=md5(1), myDescription="File", physicalLocation="1048576", myUnique="0", tagged="1",
               subCat=" ", notes="somebody said", fileSize="99", movieLength="5", monikers="m", newer="kept")  # fmt: skip
CLEES = record("Image", path="<![CDATA[x\\]]>", picture=md5(2), category="0", id="2", fullpath=FULL % "2.jpg",
               created="0", hash=md5(2), encaseHash="0", fileSize="7")  # fmt: skip
X_TENSION = record("Image", path="<![CDATA[Images\\]]>", picture="1", id="1", category="0", fileoffset="0",
                   fullpath=FULL % "1.jpg", created="1", accessed="1", written="1", fileSize="7")  # fmt: skip
BAD = [
    record("Image", hash=md5(3)[1:], fullpath=FULL % "secret.jpg", notes="secret"), record("Image", hash=md5(3), category="x"),
    record("Image", hash=md5(3), fileSize="-1"), record("Image", hash=md5(3), sha1Hash="00"), record("Sound", hash=md5(3)),
    record("Image", hash=md5(3)).replace("</hash>", "</hash><hash/>"), record("Image", hash=md5(4)),
]  # fmt: skip

if __name__ == "__main__":
    two = 'version="2.0" source="X-Ways" dll="Griffeye Extraction 1"'
    put("movies", index(two, MOVIE, CLEES), "A movie with all that EnCase says of one, and Clees4All's image: category 0, encaseHash 0.")
    put("movies_kept", index(two, MOVIE), "The movie again, paths and notes asked for.", options='paths = "yes"\nfree_text = "yes"\n')
    put("version_1", index('version="1.0" source="Naufragous"', X_TENSION, MOVIE),
        "Version 1; the X-Tension that writes it gives no hash, so its record is refused; one with a hash is read.")  # fmt: skip
    put("declares_utf16", index('version="2.0" source="Autopsy"', CLEES), "UTF-8 that declares UTF-16, as the Autopsy module writes it.", "utf-8")
    put("bad_records", index(two, *BAD), "One fault a record; the last is sound. No path or note comes out with a reject.")
    put("truncated", index(two, MOVIE, CLEES, end="")[:-40], "EnCase was stopped: no end, half a record. Refused.")
    put("truncated_accepted", index(two, MOVIE, CLEES, end="")[:-40], "The same, with truncated=accept: the whole record.",
        options='truncated = "accept"\n')  # fmt: skip
    put("version_3", index('version="3.0"', CLEES), "A version that nobody knows.")
