"""Texts that language models learn from: WikiText-2, and public-domain books for a base of our own."""

from __future__ import annotations

import functools
import hashlib
import lzma
import os
from pathlib import Path

from .errors import DataError
from .fetching import may_fetch
from .text import Text, read_text

__all__ = ["SPLITS", "books", "wikitext"]

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
REVISION = "b08601e04326c79dfdd32d625aee71d232d685c3"  # of the hub's copy
PUBLISHED = {  # SHA-256 of the files as they were published
    "train": "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    "validation": "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    "test": "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
}
END_OF_BOOK = "<|endofbook|>"


def wikitext(split: str) -> Text:
    """WikiText-2 in its tokenised form (with ``<unk>`` and `` @-@ ``): ``MODEL_COLLAPSE_DATA``, else the hub.

    Parameters
    ----------
    split : {"train", "valid", "test"}

    Raises
    ------
    DataError
        Where it is in neither place, or what came from the hub is not the published text.
    """
    given = os.environ.get("MODEL_COLLAPSE_DATA")
    local = Path(given) / "wikitext-2" / f"wiki.{split}.tokens" if given else None
    if local is not None and local.is_file():
        return Text(f"WikiText-2 {split}", read_text(local).text)
    return Text(f"WikiText-2 {split}", _from_hub(SPLITS[split], may_fetch()))


@functools.cache
def _from_hub(split: str, fetch: bool) -> str:
    """The text of a split of ``Salesforce/wikitext``, as it was published; without `fetch`, if it was fetched once.

    The hub keeps one row a line and an empty one for a line that holds nothing but a space.
    """
    import pandas as pd
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name = f"wikitext-2-v1/{split}-00000-of-00001.parquet"
    try:
        path = hf_hub_download(
            "Salesforce/wikitext", name, repo_type="dataset", revision=REVISION, local_files_only=not fetch
        )
    except (OSError, LocalEntryNotFoundError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"WikiText-2 is not here and cannot be fetched ({reason}): put it where MODEL_COLLAPSE_DATA points"
        ) from None
    text = "".join(line or " \n" for line in pd.read_parquet(path)["text"])
    if (checksum := hashlib.sha256(text.encode()).hexdigest()) != PUBLISHED[split]:
        raise DataError(f"WikiText-2 from the hub is not the published text of {split} (SHA-256 {checksum[:12]})")
    return text


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
