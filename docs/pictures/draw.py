"""Draw the pictures of docs/membership.md: `python docs/pictures/draw.py`."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
INK, SOFT, HOME, REST, HIT, PAPER = "#1b1f24", "#6b7280", "#2563eb", "#0f766e", "#b45309", "#ffffff"
STYLE = "font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:13px"


def text(x: float, y: float, words: str, colour: str = INK, anchor: str = "start", size: int = 13) -> str:
    """One line of text."""
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def box(x: float, y: float, w: float, h: float, colour: str, filled: float = 0.08) -> str:
    """A box, its inside tinted."""
    return (
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="3" fill="{colour}" fill-opacity="{filled}" '
        f'stroke="{colour}" stroke-width="1.2"/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    """A line with a head."""
    return (
        f'<path d="M{x1},{y1} C{x1},{(y1 + y2) / 2} {x2},{(y1 + y2) / 2} {x2},{y2 - 5}" fill="none" '
        f'stroke="{colour}" stroke-width="1.6" marker-end="url(#head)"/>'
    )


def picture(name: str, width: int, height: int, parts: list[str]) -> None:
    """Write a picture; its background is white, so that it reads on a dark page too."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{SOFT}"/></marker></defs>'
    )
    body = "\n".join([head, box(0, 0, width, height, PAPER, 1), *parts])
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" style="{STYLE}">\n{body}\n</svg>\n'
    (HERE / f"{name}.svg").write_text(svg)


def a_digest_taken_apart() -> None:
    """Where the bits of a digest go."""
    parts = [text(20, 30, "one MD5, 16 bytes", size=14)]
    bytes_ = ["36", "0e", "be", "89", "64", "fa", "b7", "35", "53", "a6", "01", "89", "96", "9c", "c4", "78"]
    for k, byte in enumerate(bytes_):
        colour = HOME if k < 4 else REST
        parts += [box(20 + 42 * k, 44, 38, 30, colour), text(39 + 42 * k, 64, byte, colour, "middle")]
    parts += [
        text(103, 96, "first bytes", HOME, "middle"),
        text(440, 96, "the rest: stored as it is, in REST, by rank", REST, "middle"),
        arrow(70, 104, 70, 142, HOME),
        arrow(150, 104, 230, 142, HOME),
        box(20, 146, 130, 34, HOME),
        text(85, 168, "which line", HOME, "middle"),
        box(165, 146, 180, 34, HOME),
        text(255, 168, "16-bit fingerprint", HOME, "middle"),
        text(360, 168, "they say the first bytes again: nothing is stored twice", SOFT),
    ]
    picture("digest", 760, 200, parts)


def a_line() -> None:
    """The 64 bytes that a lookup reads."""
    parts = [text(20, 30, "one line = 64 bytes = one read of memory", size=14)]
    parts += [box(20, 46, 110, 40, HIT), text(75, 71, "first rank", HIT, "middle")]
    parts += [box(134, 46, 56, 40, SOFT), text(162, 71, "count", SOFT, "middle")]
    prints = ["01a7", "0c42", "2e90", "51f3", "51f3", "8d06", "…", "", ""]
    for k, value in enumerate(prints):
        colour = HOME if value else "#cbd5e1"
        parts += [box(196 + 58 * k, 46, 54, 40, colour), text(223 + 58 * k, 71, value, colour, "middle")]
    parts += [
        text(75, 106, "40 bits", SOFT, "middle", 11),
        text(162, 106, "8 bits", SOFT, "middle", 11),
        text(460, 106, "29 places for fingerprints, in order; 18 are taken on average", SOFT, "middle", 11),
    ]
    picture("line", 740, 122, parts)


def a_lookup() -> None:
    """A miss reads one line, a hit two."""
    parts = [text(20, 28, "a lookup", size=14), text(20, 74, "LINES", HOME), text(20, 204, "REST", REST)]
    for k in range(12):
        colour = HIT if k == 7 else HOME
        parts.append(box(90 + 52 * k, 54, 46, 32, colour, 0.25 if k == 7 else 0.06))
    for k in range(26):
        colour = HIT if k == 16 else REST
        parts.append(box(90 + 24 * k, 184, 21, 32, colour, 0.3 if k == 16 else 0.06))
    parts += [
        arrow(300, 22, 477, 52, HIT),
        text(292, 22, "1  digest → its line", HIT, "end"),
        text(520, 112, "no equal fingerprint: not in the set, done", SOFT),
        text(520, 130, "(all but 3 of 10,000 misses end here)", SOFT),
        arrow(477, 88, 484, 182, HIT),
        text(470, 142, "2  equal: first rank + its place → its rest", HIT, "end"),
        text(
            90,
            242,
            "the same rest: in the set. Its rank is also the row of its payload: number, sources, classes",
            REST,
        ),
    ]
    picture("lookup", 830, 260, parts)


def a_drift() -> None:
    """Where the rest should be, before the line says where it is."""
    parts = [text(20, 28, "alone: both at once", size=14), text(20, 74, "LINES", HOME), text(20, 204, "REST", REST)]
    for k in range(12):
        parts.append(box(90 + 52 * k, 54, 46, 32, HIT if k == 7 else HOME, 0.25 if k == 7 else 0.06))
    for k in range(26):
        near, there = 13 <= k <= 17, k == 16
        parts.append(box(90 + 24 * k, 184, 21, 32, HIT if near else REST, 0.3 if there else 0.12 if near else 0.06))
    parts += [text(20, 139, "DRIFT", SOFT)]
    for k, value in enumerate(("+3", "-8", "-2")):
        parts += [box(90 + 208 * k, 120, 202, 30, SOFT, 0.06), text(191 + 208 * k, 140, value, SOFT, "middle")]
    parts += [
        arrow(388, 22, 477, 52, HIT),
        text(380, 22, "digest → its line", HIT, "end"),
        text(720, 139, "one for four lines", SOFT),
        arrow(470, 152, 460, 182, HIT),
        text(720, 204, "sent for at once", HIT),
        text(90, 242, "place in an even list + drift = nearly its rank; the line says which of these it is", REST),
    ]
    picture("drift", 880, 260, parts)


if __name__ == "__main__":
    a_digest_taken_apart()
    a_line()
    a_lookup()
    a_drift()
