"""Whether data that are not on this machine may be fetched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

__all__ = ["at_hand_only", "may_fetch"]

_ALLOWED = ContextVar("may_fetch", default=True)


def may_fetch() -> bool:
    """Whether a reader may go to the network."""
    return _ALLOWED.get()


@contextlib.contextmanager
def at_hand_only() -> Iterator[None]:
    """Inside, what is not on this machine counts as missing: for looking at an archive, not for running."""
    token = _ALLOWED.set(False)
    try:
        yield
    finally:
        _ALLOWED.reset(token)
