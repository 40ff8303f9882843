"""What is wrong with data, said in one line."""

from __future__ import annotations

__all__ = ["DataError"]


class DataError(ValueError):
    """Data that cannot be read or used. The message is one line that names the file and the reason."""
