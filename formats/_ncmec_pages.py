"""Writing `queryResult`: one page with everything, or pages of a size in a zip, each naming the next.

The counts and stamps of a page stand before its records, and `paging/next` speaks of the whole list, so all
of it goes to a private folder first. The reference to a next page has the form of NCMEC's own:

    /v2/entries?from=2024-02-01T10%3A00%3A00.000Z&to=…&start=1001&size=1000&max=1003

`from` is the first stamp of the list and `to` a millisecond after its last, so that whoever is asked for what
lies between finds this list again, whether it takes `to` as in or out; `start` counts records from 1, `max`
is their number.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from hashlib_interop.errors import BadOption, CannotWrite, shown
from hashlib_interop.files import CHUNK, MOST_MEMBERS
from hashlib_interop.format import Writing
from hashlib_interop.formats._ncmec_feedback import feedback_xml, last_update
from hashlib_interop.formats._ncmec_record import NAMESPACE, record_xml, stamp_text
from hashlib_interop.model import Json
from hashlib_interop.xml_trees import escaped

MOST_ENTRIES = 100_000
"""Records of a page, where pages are asked for. NCMEC's own have 1,000."""
_LAST = datetime.max.replace(tzinfo=UTC) - timedelta(milliseconds=1)
"""The last stamp that another comes after."""


def page_size(writing: Writing) -> int | None:
    """Return the option `page_size`; None where everything goes into one page."""
    given = writing.options.get("page_size")
    if given is None:
        return None
    number = int(given) if re.fullmatch("[0-9]{1,6}", str(given), re.ASCII) else 0
    if not 1 <= number <= MOST_ENTRIES:
        raise BadOption(f"page_size is {shown(given)}: a number from 1 to {MOST_ENTRIES:,} is needed", file=writing.name)
    return number


@dataclass
class _Spool:
    """The records of one container of a page, put aside until they have been counted."""

    name: str
    path: Path
    out: BinaryIO = field(repr=False)
    count: int = 0
    last: datetime | None = None

    def add(self, row: Json, votes: list[Json]) -> None:
        """Write an entry with the votes on it."""
        row["feedback_updated"] = last_update(votes)
        self.out.write(f"    {record_xml(row, feedback_xml(votes))}\n".encode())
        self.count += 1
        self.last = max(self.last or row["asserted_at"], row["asserted_at"])

    def publish(self, stream: BinaryIO) -> None:
        """Copy the container to the output. `maxTimestamp` is cut to the second: its readers expect that."""
        last = self.last.replace(microsecond=0) if self.last else None
        most = f' maxTimestamp="{stamp_text(last)}"' if last else ""
        stream.write(f'  <{self.name} count="{self.count}"{most}>\n'.encode())
        with self.path.open("rb") as records:
            shutil.copyfileobj(records, stream, CHUNK)
        stream.write(f"  </{self.name}>\n".encode())


class Pages:
    """The pages of a list: `add` in order, then `close`, then `publish`."""

    def __init__(self, folder: Path, size: int | None, name: str) -> None:
        self._folder, self._size, self._name = folder, size, name
        self._pages: list[dict[str, _Spool]] = []
        self._total = self._room = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._turn()

    def add(self, row: Json, votes: list[Json]) -> None:
        """Add an entry with the votes on it."""
        if self._size and not self._room:
            self._turn()
        self._pages[-1][row["media"]].add(row, votes)
        self._first = min(self._first or row["asserted_at"], row["asserted_at"])
        self._last = max(self._last or row["asserted_at"], row["asserted_at"])
        self._total += 1
        self._room -= 1

    def _turn(self) -> None:
        self.close()
        if len(self._pages) == MOST_MEMBERS:
            raise CannotWrite(f"more than {MOST_MEMBERS:,} pages: give a greater page_size", file=self._name)
        paths = {media: self._folder / f"{len(self._pages)}-{media}" for media in ("image", "video")}
        self._pages.append({media: _Spool(f"{media}s", path, path.open("wb")) for media, path in paths.items()})
        self._room = self._size or 0

    def close(self) -> None:
        """Close the page that is open."""
        for spool in self._pages[-1].values() if self._pages else ():
            spool.out.close()

    def publish(self, stream: BinaryIO) -> None:
        """Write the one page; or, where they have a size, the zip of all: stored, so that its bytes are ours."""
        if self._size is None:
            self._publish(0, stream)
            return
        archive, page = self._folder / "pages.zip", self._folder / "page"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as pages:
            for number in range(len(self._pages)):
                with page.open("wb") as out:
                    self._publish(number, out)
                _add(pages, f"page_{number + 1:05}.xml", page)
        with archive.open("rb") as whole:
            shutil.copyfileobj(whole, stream, CHUNK)

    def _publish(self, number: int, stream: BinaryIO) -> None:
        stream.write(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n')
        stream.write(f'<queryResult xmlns="{NAMESPACE}">\n'.encode())
        for spool in self._pages[number].values():
            spool.publish(stream)
        if number + 1 < len(self._pages):
            stream.write(f"  <paging><next>{escaped(self._next(number))}</next></paging>\n".encode())
        stream.write(b"</queryResult>\n")

    def _next(self, number: int) -> str:
        assert self._size and self._first and self._last
        after = min(self._last, _LAST) + timedelta(milliseconds=1)
        since, until = _in_query(self._first), _in_query(after)
        start = (number + 1) * self._size + 1
        return f"/v2/entries?from={since}&to={until}&start={start}&size={self._size}&max={self._total}"


def _in_query(stamp: datetime) -> str:
    return quote(stamp.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z", safe="")


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Add a file to an archive, without its date and owner."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr, info.file_size = 3, 0o600 << 16, path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, CHUNK)
