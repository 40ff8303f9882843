"""What all tests share: where the repository is, and what a missing thing means."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
STRICT = os.environ.get("MODEL_COLLAPSE_STRICT") == "1"


def missing(reason: str, here: bool = True) -> NoReturn:
    """Skip a test for want of something; fail with MODEL_COLLAPSE_STRICT=1, where it ought to be `here`."""
    if STRICT and here:
        pytest.fail(f"{reason} (a failure, because MODEL_COLLAPSE_STRICT=1)", pytrace=False)
    pytest.skip(reason)


def no_data(what: str) -> NoReturn:
    """Skip a test for want of a data set; see `missing`. They ought to be where MODEL_COLLAPSE_DATA points."""
    missing(f"no {what}: set MODEL_COLLAPSE_DATA", here=bool(os.environ.get("MODEL_COLLAPSE_DATA")))


def notebook(*cells: tuple[str, str]) -> str:
    """A notebook of (kind, source) cells, as its file would read."""
    made = []
    for kind, source in cells:
        cell = {"cell_type": kind, "id": f"c{len(made)}", "metadata": {}, "source": source}
        made.append(cell | ({"outputs": [], "execution_count": None} if kind == "code" else {}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what looks at the built book, so that it can be asked for alone once there is one."""
    for item in items:
        if "book" in item.fixturenames:
            item.add_marker("built")


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    """matplotlib keeps every figure until it is closed, and warns, which is a failure here, of more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def the_same_draws_every_time() -> None:
    """A test that draws from torch's global state draws the same in every run and order."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def book() -> Path:
    """The HTML that `make book` built; it must be there if MODEL_COLLAPSE_BOOK=1."""
    html = ROOT / "_build/html"
    if not (html / "index.html").is_file():
        reason = "no built book: run make book first"
        missing(reason) if os.environ.get("MODEL_COLLAPSE_BOOK") == "1" else pytest.skip(reason)
    return html


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A base of the language model, of one layer, pre-trained for a few steps on the language reference."""
    from model_collapse import datasets
    from model_collapse.llm.base import SHAPES, pretrain
    from model_collapse.llm.tokens import train_tokenizer

    folder = tmp_path_factory.mktemp("base") / "smoke"
    text = datasets.language_reference().text[:60_000]
    pretrain(SHAPES["smoke"], [text], train_tokenizer([text], SHAPES["smoke"].vocabulary), folder)
    return folder
