"""Every error of the library: one class, one message, one exit code.

A library never prints and never exits; the command line turns an `InteropError` into one line and its
`exit_code`. Values from files are cut and escaped here, once, before they reach any message.
"""

from __future__ import annotations

CUT = 60


def shown(value: object, limit: int = CUT) -> str:
    """Return `value` as printable ASCII of at most `limit` characters, safe for terminals and logs."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return ascii(cut)[1:-1]


class InteropError(Exception):
    """The parent of all errors that the library raises on purpose."""

    exit_code = 3

    def __init__(self, message: str, *, file: str | None = None, position: str | None = None) -> None:
        message = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
        self.message, self.file, self.position = message, file, position
        place = ": ".join(shown(part, 200) for part in (file, position) if part)
        super().__init__(f"{place}: {message}" if place else message)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.file, self.position)


def _rebuild(kind: type[InteropError], message: str, file: str | None, position: str | None) -> InteropError:
    return kind(message, file=file, position=position)


class MalformedInput(InteropError):
    """The file is not what its format demands: broken, truncated, or built to harm."""

    exit_code = 3


class UnknownFormat(InteropError):
    """No format claims the file, or two claim it equally: the user has to say which (`--from`)."""

    exit_code = 4


class FileFault(InteropError):
    """Reading or writing failed in the operating system: missing, not permitted, disk full."""

    exit_code = 5


class TooManyRejects(InteropError):
    """More records were refused than `--max-rejects` allows."""

    exit_code = 6


class CannotWrite(InteropError):
    """The target format cannot hold these entries at all, or the values in them are not fit for it."""

    exit_code = 7


class BadPolicy(InteropError):
    """A policy, sources, mapping or crosswalk file is wrong."""

    exit_code = 8


class UnresolvedConflict(InteropError):
    """The policy says `on_conflict = "fail"` and there is a conflict."""

    exit_code = 9


class BadCatalog(InteropError):
    """The catalog file is not one, or was made by a newer version."""

    exit_code = 10


class Busy(InteropError):
    """Another run is writing the same output."""

    exit_code = 11


class WouldReplace(InteropError):
    """The output is there already, and holds what this run would leave out."""

    exit_code = 12


class BadDigest(InteropError, ValueError):
    """A text is not a digest, fingerprint or encoding of the algorithm it is said to be."""

    exit_code = 3


class BadOption(InteropError):
    """An option that the format does not know, or a value that it cannot take: wrong usage."""

    exit_code = 2


ERRORS = (
    MalformedInput,
    UnknownFormat,
    FileFault,
    TooManyRejects,
    CannotWrite,
    BadPolicy,
    UnresolvedConflict,
    BadCatalog,
    Busy,
    WouldReplace,
    BadDigest,
    BadOption,
)
