"""Out of memory: which batch would have fitted."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator

import torch
from accelerate import PartialState

from ..runs import ConfigError

__all__ = ["room_for"]


@contextlib.contextmanager
def room_for(what: str, batch: int, attempt: Callable[[int], object]) -> Iterator[None]:
    """Turn a lack of memory inside the block into one line that names a batch that fits.

    Parameters
    ----------
    what : str
        What is done inside the block, for the message.
    batch : int
        That it is done with.
    attempt : callable
        ``attempt(batch)`` needs the memory of one batch; it is called with halves of `batch` until one fits.

    Raises
    ------
    ConfigError
    """
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
    if PartialState().num_processes > 1:  # the others wait elsewhere, so that nothing can be tried
        raise ConfigError(f"out of memory while {what} with a batch of {batch}: take a smaller one, --set batch=")
    fits = batch // 2
    while fits and not _fits(attempt, fits):
        fits //= 2
    advice = f"--set batch={fits} fits" if fits else "not even a batch of one fits"
    raise ConfigError(f"out of memory while {what} with a batch of {batch}: {advice}")


def _fits(attempt: Callable[[int], object], batch: int) -> bool:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    try:
        attempt(batch)
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        return False
    return True


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
