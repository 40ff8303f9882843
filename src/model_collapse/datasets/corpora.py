"""Texts that language models learn from: WikiText-2, and public-domain books for a base of our own."""

from __future__ import annotations

import functools
import lzma
import os
from pathlib import Path

from .errors import DataError
from .fetching import may_fetch
from .text import Text, read_text

__all__ = ["SPLITS", "books", "wikitext"]

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
END_OF_BOOK = "<|endofbook|>"


def wikitext(split: str) -> Text:
    """WikiText-2 in its tokenised form (with ``<unk>`` and `` @-@ ``): ``MODEL_COLLAPSE_DATA``, else the hub.

    Parameters
    ----------
    split : {"train", "valid", "test"}

    Raises
    ------
    DataError
        Where it is in neither place.
    """
    given = os.environ.get("MODEL_COLLAPSE_DATA")
    local = Path(given) / "wikitext-2" / f"wiki.{split}.tokens" if given else None
    if local is not None and local.is_file():
        return Text(f"WikiText-2 {split}", read_text(local).text)
    return Text(f"WikiText-2 {split}", _from_hub(SPLITS[split], may_fetch()))


@functools.cache
def _from_hub(split: str, fetch: bool) -> str:
    """The text of a split of ``Salesforce/wikitext``, lines joined as they are; without `fetch`, if it was once."""
    import pandas as pd
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name = f"wikitext-2-v1/{split}-00000-of-00001.parquet"
    try:
        path = hf_hub_download("Salesforce/wikitext", name, repo_type="dataset", local_files_only=not fetch)
    except (OSError, LocalEntryNotFoundError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"WikiText-2 is not here and cannot be fetched ({reason}): put it where MODEL_COLLAPSE_DATA points"
        ) from None
    return "".join(line or "\n" for line in pd.read_parquet(path)["text"])


def books(root: Path | None = None) -> list[str]:
    """Books in the public domain, one string each, from ``MODEL_COLLAPSE_DATA``.

    Raises
    ------
    DataError
        Where they are not there; they are needed only to make a base anew.
    """
    folder = Path(root or os.environ.get("MODEL_COLLAPSE_DATA") or ".")
    path = folder / "books" / "books.txt.xz"
    try:
        with lzma.open(path, "rt", encoding="utf-8") as stream:
            found = [book.strip() for book in stream.read().split(END_OF_BOOK)]
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"the books are not at MODEL_COLLAPSE_DATA ({error.__class__.__name__}: {path.name})") from None
    return [book for book in found if book]
