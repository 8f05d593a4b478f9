"""The notice that compiled parts of this package are not there, said once a process."""

from __future__ import annotations

import functools
import warnings
from importlib import import_module

PARTS = {"_membership": "lookups", "_sorting": "sorts and hex lines", "_fuse": "filters"}
"""The compiled modules, each optional at install, and what numpy does where one is not there."""


class CompiledCoreMissing(RuntimeWarning):
    """Something is done in numpy, with the same answers at about a tenth of the rate. Said once a process."""


@functools.cache
def notice() -> None:
    """Warn where a part is not there; only the first call looks."""
    absent = [what for name, what in PARTS.items() if not _there(name)]
    if absent:
        message = f"the compiled core is not there: {', '.join(absent)} are in numpy, slower. Install with a C compiler at hand"
        warnings.warn(message, CompiledCoreMissing, stacklevel=4)


def _there(name: str) -> bool:
    try:
        import_module(f"hashlib_interop.membership.{name}")
    except ImportError:
        return False
    return True
