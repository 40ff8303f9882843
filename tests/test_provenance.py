"""Provenance: what is sealed is known, and every way to tamper with a corpus or its ledger shows."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import tracemalloc
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import say

from model_collapse import expectations, provenance
from model_collapse.archive import ArchiveError, History, Record, save_record
from model_collapse.points import Points
from model_collapse.provenance import LedgerError, ProvenanceError, Statement, audit, read_ledger, seal
from model_collapse.provenance import items as reading
from model_collapse.regimes import HUMAN, REGIMES, Lineage, Source, make_regime

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key().public_bytes_raw()
HUMANS = Statement("human")
DAY = datetime.date(2026, 1, 31)
unix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and names differ on Windows")


def sampled(g: int) -> Statement:
    return Statement("synthetic", g)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three human files and two of generation 1, sealed on one day."""
    corpus = tmp_path / "corpus"
    for name in ("a.txt", "deep/er/b.txt", "deep/ö.txt"):
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text(f"human {name}")
    seal(corpus, HUMANS, KEY, today=DAY)
    for name in ("made-0", "made-1"):
        (corpus / name).write_text(f"synthetic {name}")
    seal(corpus, sampled(1), KEY, today=DAY)
    return corpus


@pytest.fixture
def lines(tmp_path) -> Path:
    """The same as lines of a file."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(f'{{"text": "human {k}"}}\n' for k in range(3)))
    seal(corpus, HUMANS, KEY, today=DAY)
    with open(corpus, "a") as stream:
        stream.writelines(f'{{"text": "synthetic {k}"}}\n' for k in range(2))
    seal(corpus, sampled(1), KEY, today=DAY)
    return corpus


def ledger_of(corpus: Path) -> Path:
    return corpus.with_name(f"{corpus.name}.ledger")


def found(corpus: Path, **options) -> tuple[dict[int, int], list[str], list[str], list[str]]:
    """What an audit finds: known items by maker, then the names of those that are tampered, unknown and missing."""
    report = audit(corpus, key=PUBLIC, **options)
    return dict(report.known), *(
        [one.name for one in getattr(report, kind)] for kind in ("tampered", "unknown", "missing")
    )


# What a ledger is ---------------------------------------------------------------------------------------------------


def canonical(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def signed(head: dict, entries: list[dict], key=KEY) -> bytes:
    """A ledger written from its description alone."""
    lines, chain = [canonical(head)], hashlib.sha256(canonical(head)).hexdigest()
    for entry in entries:
        chain = hashlib.sha256(chain.encode() + canonical(entry)).hexdigest()
        lines.append(canonical(entry | {"chain": chain}))
    end = {"count": len(entries), "chain": chain, "date": "2026-01-31"}
    signature = key.sign(b"model-collapse ledger\0" + canonical(end)).hex()
    return b"".join([*lines, canonical(end | {"signature": signature})])


def taken_apart(ledger: bytes) -> tuple[dict, list[dict]]:
    head, *entries, _ = (json.loads(line) for line in ledger.splitlines())
    return head, [{name: value for name, value in entry.items() if name != "chain"} for entry in entries]


@pytest.mark.parametrize("kind", ["folder", "lines"])
def test_a_ledger_is_what_its_description_says(kind, request):
    """Written and checked by other code than the package's own, from hashes of the items as they lie on the disk."""
    corpus = request.getfixturevalue(kind)
    head, entries = taken_apart(ledger_of(corpus).read_bytes())
    assert ledger_of(corpus).read_bytes() == signed(head, entries)
    assert head["key"] == PUBLIC.hex() and head["version"] == 1 and head["date"] == "2026-01-31"
    if kind == "folder":
        contents = {path.relative_to(corpus).as_posix(): path.read_bytes() for path in corpus.rglob("*.*")}
        contents |= {path.name: path.read_bytes() for path in corpus.glob("made*")}
    else:
        contents = {str(k): line for k, line in enumerate(corpus.read_bytes().split(b"\n")[:-1], 1)}
    assert {entry["name"]: entry["sha256"] for entry in entries} == {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }
    assert [entry["generation"] for entry in entries] == [None] * 3 + [1] * 2


@pytest.mark.parametrize("kind", ["folder", "lines"])
def test_what_was_sealed_is_known(kind, request):
    corpus = request.getfixturevalue(kind)
    report = audit(corpus, key=PUBLIC)
    assert (report.status, report.items, report.trusted) == (0, 5, True)
    assert dict(report.known) == {HUMAN: 3, 1: 2}
    assert report.counts() == [("human", 3), ("synthetic, g = 1", 2), ("unknown", 0), ("tampered", 0)]
    assert report.share(3) == 0.6 and not audit(corpus).trusted
    before = ledger_of(corpus).read_bytes()
    assert seal(corpus, HUMANS, KEY).new == 0 and ledger_of(corpus).read_bytes() == before


# Tampering with a corpus --------------------------------------------------------------------------------------------


def test_every_way_to_tamper_with_a_folder(folder):
    (folder / "a.txt").write_text("human a.tyt")
    assert found(folder) == ({HUMAN: 2, 1: 2}, ["a.txt"], [], [])
    (folder / "new").write_text("nobody's")
    assert found(folder) == ({HUMAN: 2, 1: 2}, ["a.txt"], ["new"], [])
    (folder / "made-0").unlink()
    assert found(folder) == ({HUMAN: 2, 1: 1}, ["a.txt"], ["new"], ["made-0"])
    (folder / "made-1").rename(folder / "deep/human")
    assert found(folder) == ({HUMAN: 2}, ["a.txt"], ["new", "deep/human"], ["made-0", "made-1"])
    (moved,) = (one for one in audit(folder).unknown if one.name == "deep/human")
    assert moved.why == "nobody sealed it; its content was sealed as made-1"


def test_a_file_that_turns_into_a_folder_and_an_emptied_folder(folder):
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    (folder / "a.txt/inside").write_text("human a.txt")
    assert found(folder) == ({HUMAN: 2, 1: 2}, [], ["a.txt/inside"], ["a.txt"])
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    report = audit(folder)
    assert (report.status, report.items, report.share(0), len(report.missing)) == (provenance.TAMPERED, 0, 0.0, 5)


def test_every_way_to_tamper_with_lines(lines):
    text = lines.read_text().splitlines()

    def now(*found_lines: str):
        lines.write_text("\n".join(found_lines))
        return found(lines)

    human, made = text[:3], text[3:]
    assert now(*made, *human) == ({HUMAN: 3, 1: 2}, [], [], [])  # a line is its content, wherever it stands
    assert now(*human, made[0], made[1].replace("1", "7")) == ({HUMAN: 3, 1: 1}, ["line 5"], [], [])
    assert now(*human, made[0]) == ({HUMAN: 3, 1: 1}, [], [], ["line 5"])
    assert now("{}", *text) == ({HUMAN: 3, 1: 2}, [], ["line 1"], [])
    assert now(*text, human[0], human[0]) == ({HUMAN: 3, 1: 2}, [], ["line 6", "line 7"], [])  # copies buy nothing
    assert now(*text[:4], " " + text[4]) == ({HUMAN: 3, 1: 1}, ["line 5"], [], [])  # equal JSON, other bytes
    assert now(*text, "") == ({HUMAN: 3, 1: 2}, [], [], [])  # with or without an end of the last line
    assert now(*text, "", "") == ({HUMAN: 3, 1: 2}, [], ["line 6"], [])


contents = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=5), max_size=12)


@settings(max_examples=60, deadline=None)
@given(contents, contents, contents)
def test_lines_are_known_as_often_as_they_were_sealed(human, made, present):
    """Against multisets: whatever became of the file, known are at most the sealed copies of each content."""
    human, made, present = ([json.dumps(text) for text in texts] for texts in (human, made, present))
    with tempfile.TemporaryDirectory() as place:
        corpus = Path(place) / "corpus.jsonl"
        sealed: list[str] = []
        for texts, said in ((human, HUMANS), (made, sampled(3))):
            sealed += texts
            corpus.write_text("".join(f"{text}\n" for text in sealed))
            if texts:
                seal(corpus, said, KEY)
        if not sealed:
            return
        corpus.write_text("".join(f"{text}\n" for text in present + made))
        report = audit(corpus)
    known = Counter(sealed) & Counter(present + made)
    assert report.known.total() == known.total() and report.items == len(present + made)
    assert len(report.missing) + len(report.tampered) == len(sealed) - known.total()
    if not set(human) & set(made):
        assert report.known[HUMAN] == sum(known[text] for text in set(human))
        assert report.known[3] == len(made)
    assert (report.status == 0) == (sorted(sealed) == sorted(present + made))


# Tampering with a ledger --------------------------------------------------------------------------------------------


def refused(ledger: Path, content: bytes, message: str, key: bytes | None = PUBLIC) -> None:
    ledger.write_bytes(content)
    with pytest.raises(LedgerError, match=message) as error:
        read_ledger(ledger, key)
    assert "\n" not in str(error.value) and str(ledger.parent) not in str(error.value) and len(str(error.value)) < 200


@pytest.fixture
def short(tmp_path) -> Path:
    """The ledger of one line, every byte of which is tried."""
    (tmp_path / "one.jsonl").write_text("{}\n")
    return seal(tmp_path / "one.jsonl", sampled(0), KEY).ledger


def test_a_ledger_that_ends_too_early_anywhere(short):
    whole = short.read_bytes()
    for length in range(len(whole)):
        refused(short, whole[:length], "is truncated" if length else "is no ledger")
    short.write_bytes(whole)
    assert len(read_ledger(short, PUBLIC).entries) == 1


def test_a_ledger_in_which_any_byte_differs(short):
    whole = short.read_bytes()
    for k in range(len(whole)):
        flipped = bytes([whole[k] ^ 1 << k % 7])
        refused(short, whole[:k] + flipped + whole[k + 1 :], "^ledger one", None)


def test_entries_that_were_edited_removed_moved_or_added_without_the_key(folder):
    """Found where they stand; and where the chain was mended, by the signature, which cannot be."""
    ledger = ledger_of(folder)
    whole = ledger.read_bytes()
    rows = whole.splitlines(keepends=True)
    edited = rows[5].replace(b'"generation":1', b'"generation":0')
    follows = "line {} does not follow from the one before it"
    refused(ledger, b"".join([*rows[:5], edited, *rows[6:]]), follows.format(6))
    refused(ledger, b"".join([*rows[:2], *rows[3:]]), follows.format(3))
    refused(ledger, b"".join([*rows[:2], rows[3], rows[2], *rows[4:]]), follows.format(3))
    refused(ledger, b"".join([*rows[:2], rows[2], *rows[2:]]), follows.format(4))
    refused(ledger, b"".join([*rows[:5], rows[6]]), "its last line seals other entries")
    refused(ledger, whole + rows[5], "goes on after the signature")
    refused(ledger, whole + rows[6], "goes on after the signature")
    head, entries = taken_apart(whole)
    for change in (
        lambda e: [{**e[0], "origin": "synthetic", "generation": 0}, *e[1:]],
        lambda e: e[1:],
        lambda e: [e[1], e[0], *e[2:]],
    ):
        mended = signed(head, change(entries), OTHER)
        refused(ledger, mended, "the signature is wrong")
    refused(ledger, signed(head | {"date": "2025-01-01"}, entries, OTHER), "the signature is wrong")


def test_a_ledger_by_another_key(folder):
    """Without a key anybody may have written it, and the audit says whose it claims to be; with one it is refused."""
    head, entries = taken_apart(ledger_of(folder).read_bytes())
    another = OTHER.public_key().public_bytes_raw()
    forged = signed(
        head | {"key": another.hex()}, [{**entry, "origin": "human", "generation": None} for entry in entries], OTHER
    )
    ledger_of(folder).write_bytes(forged)
    report = audit(folder)
    assert (report.status, report.trusted, report.key, dict(report.known)) == (0, False, another.hex(), {HUMAN: 5})
    refused(ledger_of(folder), forged, "is signed by another key than the one that was given")
    (folder / "new").write_text("nobody's")
    with pytest.raises(LedgerError, match="is signed by another key"):
        seal(folder, HUMANS, KEY)
    assert ledger_of(folder).read_bytes() == forged


HOSTILE_SIGNERS = {
    "is of version 2, and version 1 is read here": ({"version": 2}, {}),
    "is of version True": ({"version": True}, {}),
    "is no ledger: its first line does not say": ({"kind": "a shopping list"}, {}),
    "its first line is none that begins a ledger": ({"form": "heap"}, {}),
    "its first line is none": ({"date": "yesterday"}, {}),
    "its first line is": ({"extra": 1}, {}),
    "says in line 2": ({}, {"name": "../../a.txt"}),
    "in line 2 what": ({}, {"name": "/a.txt"}),
    "line 2 what no": ({}, {"name": "deep//b.txt"}),
    "line 2 what no entry": ({}, {"name": "a\x1b[2Jb"}),
    "line 2 what no entry can": ({}, {"name": "\ud800"}),
    "2 what no entry can say": ({}, {"name": unicodedata.normalize("NFD", "ö")}),
    "what no entry can say": ({}, {"name": ["a.txt"]}),
    "no entry can say": ({}, {"origin": "divine"}),
    "entry can say": ({}, {"origin": "synthetic", "generation": True}),
    "can say": ({}, {"origin": "synthetic", "generation": 1.0}),
    "in line 2 what no": ({}, {"origin": "synthetic", "generation": -1}),
    "in line 2 what no entry": ({}, {"generation": 1}),
    "in line 2 what no entry can": ({}, {"sha256": "A" * 64}),
    "says in line 2 what": ({}, {"run": "../etc", "identity": "0" * 64, "origin": "synthetic", "generation": 1}),
    "says in line 2 what no": ({}, {"date": "2026-1-1"}),
    "says in line 2 what no entry": ({}, {"more": None}),
    "names an item twice": ({}, {"name": "made-0"}),
}


@pytest.mark.parametrize("message", HOSTILE_SIGNERS)
def test_what_even_the_right_key_may_not_sign(folder, message):
    head, entries = taken_apart(ledger_of(folder).read_bytes())
    changed_head, changed_entry = HOSTILE_SIGNERS[message]
    refused(ledger_of(folder), signed(head | changed_head, [entries[0] | changed_entry, *entries[1:]]), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no ledger"),
        (b"\x89PNG\r\n\x1a\n" * 3, "line 1 is not in canonical form"),
        (b"[]\n", "line 1 is not in canonical form"),
        (b"{}\n", "its first line does not say that it is one"),
        (b"[" * 60_000 + b"\n", "line 1 is not in canonical form"),
        (b"x" * 100_000, "line 1 has no end"),
        (b'{"kind": "model-collapse ledger"}\n', "line 1 is not in canonical form"),
        (b'{"version":' + b"9" * 5000 + b"}\n", "line 1 is not in canonical form"),
    ],
)
def test_files_that_are_no_ledgers(folder, content, message):
    refused(ledger_of(folder), content, message)
    with pytest.raises(LedgerError, match=message):
        seal(folder, HUMANS, KEY)
    assert ledger_of(folder).read_bytes() == content  # whatever it was, it is not overwritten


def test_a_ledger_of_more_entries_than_are_read(folder, monkeypatch):
    monkeypatch.setattr(provenance.ledger, "MOST_ITEMS", 3)
    refused(ledger_of(folder), ledger_of(folder).read_bytes(), "has more than 3 entries")


def test_a_ledger_that_is_not_there_or_belongs_to_another_corpus(folder, lines):
    with pytest.raises(LedgerError, match=r"ledger corpus\.ledger is that of a folder"):
        audit(lines, ledger=ledger_of(folder))
    with pytest.raises(LedgerError, match=r"ledger corpus\.jsonl\.ledger is that of a file"):
        seal(folder, HUMANS, KEY, ledger=ledger_of(lines))
    ledger_of(folder).unlink()
    with pytest.raises(ProvenanceError, match=r"no ledger corpus\.ledger: model-collapse seal makes one"):
        audit(folder)
    ledger_of(folder).mkdir()
    with pytest.raises(ProvenanceError, match=r"corpus\.ledger is no file"):
        audit(folder)
    for inside in (folder / "ledger", folder, lines):
        with pytest.raises(ProvenanceError, match="must lie beside the corpus, not in it"):
            seal(folder if inside != lines else lines, HUMANS, KEY, ledger=inside)


# Hostile places -----------------------------------------------------------------------------------------------------


def nothing_new(corpus: Path, message: str, before: bytes) -> None:
    """Sealing is refused in one line; the ledger is as it was and nothing lies beside it."""
    neighbours = sorted(corpus.parent.iterdir())
    with pytest.raises(ProvenanceError, match=message) as error:
        seal(corpus, HUMANS, KEY)
    assert "\n" not in str(error.value) and str(corpus.parent) not in str(error.value)
    assert ledger_of(corpus).read_bytes() == before and sorted(corpus.parent.iterdir()) == neighbours


@unix
@pytest.mark.parametrize("what", ["link", "dangling link", "linked folder", "loop", "pipe"])
def test_links_and_special_files_are_refused_when_sealed_and_named_when_audited(folder, tmp_path, what):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("human a.txt")  # what was sealed, but somewhere else
    target = {"link": "outside/secret", "dangling link": "nowhere", "linked folder": "outside", "loop": "corpus"}
    for place in (folder / "deep/odd", folder / "a.txt"):
        place.unlink(missing_ok=True)
        os.mkfifo(place) if what == "pipe" else place.symlink_to(tmp_path / target[what])
    why = "is neither a folder nor a file" if what == "pipe" else "is a link"
    assert found(folder) == ({HUMAN: 2, 1: 2}, ["a.txt"], ["deep/odd"], [])
    assert {one.why for one in audit(folder).tampered + audit(folder).unknown} == {why}
    nothing_new(folder, f"corpus: .* {why}", ledger_of(folder).read_bytes())


@unix
@pytest.mark.parametrize(
    "name", [b"a\nb", b"\x1b[2Jb", b"a\x7f", b"\xff\xfe", "\u202egpj.exe".encode(), "a\u2028b".encode(), b"back\\slash"]
)
def test_hostile_names(folder, name):
    try:
        with open(os.path.join(os.fsencode(folder), name), "wb") as stream:
            stream.write(b"human a.txt")
    except OSError:
        pytest.skip("this disk refuses the name itself")
    report = audit(folder, key=PUBLIC)
    assert report.status == provenance.UNKNOWN and "has a name with" in report.unknown[0].why
    nothing_new(folder, r"^corpus: [ -~]* has a name with", ledger_of(folder).read_bytes())


@pytest.mark.parametrize("name", ["..", ".", "", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\\b", "a\x00b"])
def test_names_that_no_ledger_holds(name):
    assert reading.hostile(name)


@pytest.mark.parametrize(
    "name", ["a", ".hidden", "...", "a b", "ö", "نیم\u200cفاصله", "日本", "👩\u200d🔬", "at 1\u202fPM.png"]
)
def test_names_of_every_script(name):
    assert not reading.hostile(name)


def test_a_name_in_another_normal_form_is_the_same_name(folder):
    composed, apart = (unicodedata.normalize(form, "deep/ö.txt") for form in ("NFC", "NFD"))
    (folder / composed).rename(folder / apart)
    assert found(folder) == ({HUMAN: 3, 1: 2}, [], [], [])
    (folder / composed).write_text("another")
    if len(list((folder / "deep").iterdir())) == 2:
        pytest.skip("this disk takes both forms for one")
    report = audit(folder)
    assert [one.why for one in report.tampered + report.unknown] == [
        "is there twice, in two Unicode forms of one name"
    ] * 2
    nothing_new(folder, "is there twice, in two Unicode forms", ledger_of(folder).read_bytes())


@pytest.mark.parametrize("where", ["a.txt", "deep"])
@pytest.mark.parametrize("kind", ["PermissionError", "OSError"])
def test_what_cannot_be_read_ends_the_audit(folder, monkeypatch, where, kind):
    """What could not be read cannot be judged, and a report without it would pass for a whole one."""

    def refuse(call):
        def instead(path, *rest, **named):
            if os.fspath(path).endswith(where):
                raise PermissionError(13, "Permission denied") if kind == "PermissionError" else OSError(5, "I/O error")
            return call(path, *rest, **named)

        return instead

    monkeypatch.setattr(os, "open", refuse(os.open))
    monkeypatch.setattr(os, "scandir", refuse(os.scandir))
    message = f"cannot read corpus: {where}: (Permission denied|I/O error)"
    with pytest.raises(ProvenanceError, match=message):
        audit(folder)
    nothing_new(folder, message, ledger_of(folder).read_bytes())


def test_a_file_that_changes_while_it_is_read(folder, lines, monkeypatch):
    digest = hashlib.file_digest

    def slow(stream, kind):
        with open(folder / "a.txt", "a") as more:
            more.write("!")
        return digest(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(ProvenanceError, match=r"corpus: a\.txt changed while it was read"):
        audit(folder)
    found_lines = provenance.read_items(lines, strict=False)
    next(found_lines)
    with open(lines, "a") as more:
        more.write("{}\n")
    with pytest.raises(ProvenanceError, match=r"corpus\.jsonl changed while it was read"):
        list(found_lines)


def test_huge_files_and_lines_in_little_memory(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with open(corpus / "huge", "wb") as stream:
        stream.truncate(200 * 2**20)
    with open(tmp_path / "long.jsonl", "wb") as stream:
        stream.write(b"{}\n")
        stream.truncate(100 * 2**20)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n{}\n")
    tracemalloc.start()
    try:
        seal(corpus, HUMANS, KEY)
        assert audit(corpus).status == 0
        hashes = [item.sha256 for item in provenance.read_items(tmp_path / "long.jsonl", strict=False)]
        with pytest.raises(ProvenanceError, match=r"long\.jsonl: line 2 is longer than 16,777,216 bytes"):
            seal(tmp_path / "long.jsonl", HUMANS, KEY)
        assert tracemalloc.get_traced_memory()[1] < 48 * 2**20
    finally:
        tracemalloc.stop()
    assert hashes[0] == hashes[2] == hashlib.sha256(b"{}").hexdigest()
    assert hashes[1] == hashlib.sha256(bytes(100 * 2**20 - 3)).hexdigest()


def test_a_folder_deeper_than_the_stack_of_python(tmp_path):
    corpus = tmp_path / "corpus"
    places = [str(corpus)]
    while len(places) < 1.5 * sys.getrecursionlimit():
        places.append(f"{places[-1]}/d")
    try:
        for place in places:
            os.mkdir(place)
        Path(f"{place}/x").write_text("deep")
        seal(corpus, HUMANS, KEY)
        assert audit(corpus).status == 0
        os.unlink(f"{place}/x")
    finally:
        for place in reversed(places):  # what clears temporary folders is recursive
            os.rmdir(place)


def test_more_items_than_a_ledger_holds(folder, monkeypatch):
    monkeypatch.setattr(reading, "MOST_ITEMS", 4)
    nothing_new(folder, "corpus holds more than 4 items", ledger_of(folder).read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"corpus\.jsonl holds no items to seal"),
        (b"{}\n\n{}\n", r"corpus\.jsonl: line 2 is no JSON in UTF-8: one item a line is wanted"),
        (b"{}\nplain words\n", "line 2 is no JSON"),
        (b'{"a": 1', "line 1 is no JSON"),
        (b"[\n1\n]\n", "line 1 is no JSON"),
        (b'"\xff"\n', "line 1 is no JSON in UTF-8"),
        ('{"a": 1}\n'.encode("utf-16"), "line 1 is no JSON in UTF-8"),
        (b"\xef\xbb\xbf{}\n", "line 1 is no JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "line 1 is no JSON"),
    ],
)
def test_files_that_are_not_items_line_by_line(tmp_path, content, message):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(content)
    with pytest.raises(ProvenanceError, match=message):
        seal(corpus, HUMANS, KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.jsonl"]


def test_numbers_of_any_length_are_json(tmp_path):
    (tmp_path / "corpus.jsonl").write_text("9" * 10_000 + "\n1e999\n")
    assert seal(tmp_path / "corpus.jsonl", HUMANS, KEY).new == 2


# Sealing ------------------------------------------------------------------------------------------------------------


def test_sealing_again_keeps_what_was_said_and_adds_what_is_new(folder):
    (folder / "later").write_text("later")
    done = seal(folder, sampled(2), KEY, today=datetime.date(2026, 2, 1))
    ledger = read_ledger(done.ledger, PUBLIC)
    assert (done.new, done.before) == (1, 5) and (ledger.begun, ledger.sealed) == ("2026-01-31", "2026-02-01")
    assert [(entry.statement.maker, entry.date) for entry in ledger.entries] == [(HUMAN, "2026-01-31")] * 3 + [
        (1, "2026-01-31")
    ] * 2 + [(2, "2026-02-01")]


@pytest.mark.parametrize("change", ["edit", "remove"])
def test_no_signature_over_what_the_signer_can_see_is_wrong(folder, change):
    (folder / "a.txt").write_text("edited") if change == "edit" else (folder / "a.txt").unlink()
    (folder / "later").write_text("later")
    nothing_new(folder, r"1 sealed item is not as sealed, first a\.txt: ", ledger_of(folder).read_bytes())


def test_lines_are_added_at_the_end_only(lines):
    text = lines.read_text()
    lines.write_text("{}\n" + text)
    nothing_new(lines, "5 sealed items are not as sealed, first line 1: ", ledger_of(lines).read_bytes())
    lines.write_text(text + "{}\n")
    assert seal(lines, HUMANS, KEY).new == 1


def test_only_some_files(folder):
    for name in ("new/one.png", "new/two.png", "other.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    assert seal(folder, sampled(4), KEY, only="new/*").new == 2
    assert found(folder) == ({HUMAN: 3, 1: 2, 4: 2}, [], ["other.png"], [])
    with pytest.raises(ProvenanceError, match="--only chooses files of a folder"):
        (folder.parent / "x.jsonl").write_text("{}\n")
        seal(folder.parent / "x.jsonl", HUMANS, KEY, only="1")


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interrupted_sealing_leaves_the_old_ledger(folder, monkeypatch, end, call):
    before = ledger_of(folder).read_bytes()
    (folder / "later").write_text("later")

    def stop(*_):
        raise end

    with monkeypatch.context() as patched, pytest.raises((KeyboardInterrupt, ArchiveError)):
        patched.setattr(os, call, stop)
        seal(folder, HUMANS, KEY)
    assert ledger_of(folder).read_bytes() == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["corpus", "corpus.ledger"]
    assert seal(folder, HUMANS, KEY).new == 1


@unix
def test_a_killed_sealing_leaves_the_old_ledger(folder):
    """Killed when all is written and nothing renamed: the moment at which most could be half-done."""
    before = ledger_of(folder).read_bytes()
    (folder / "later").write_text("later")
    script = (
        "import os, pathlib, signal, sys; from model_collapse.provenance import *; "
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key; "
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "seal(pathlib.Path(sys.argv[1]), Statement('human'), Key.from_private_bytes(bytes(range(32))))"
    )
    assert subprocess.run([sys.executable, "-c", script, str(folder)]).returncode == -signal.SIGKILL
    assert ledger_of(folder).read_bytes() == before
    assert seal(folder, HUMANS, KEY).new == 1 and audit(folder, key=PUBLIC).status == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("divine",), "an origin is human or synthetic, not divine"),
        (("human", 1), "human items come from no run and have no generation"),
        (("human", None, "gmm/a", "0" * 64), "human items come from no run"),
        (("synthetic",), "synthetic items need the generation"),
        (("synthetic", -1), "synthetic items need the generation that sampled them, a whole number from 0"),
        (("synthetic", True), "synthetic items need"),
        (("synthetic", 1, "gmm", "0" * 64), "a run is named FAMILY/RUN, not gmm"),
        (("synthetic", 1, "../gmm", "0" * 64), "a run is named FAMILY/RUN"),
        (("synthetic", 1, "gmm/a"), "a run is named with the identity of its record"),
        (("synthetic", 1, None, "0" * 64), "a run is named with the identity"),
    ],
)
def test_statements_that_do_not_fit_together(said, message):
    with pytest.raises(ProvenanceError, match=message):
        Statement(*said)


# Lineages -----------------------------------------------------------------------------------------------------------


def pool_of(name: str, g: int):
    """Pool g of a run over 24 items whose text tells their number and maker."""
    settings = {"keep": {"share": 0.25}, "fresh": {"n_real": 6, "n_synthetic": 18}}.get(name, {})
    regime, history = make_regime(name, **settings), History(make_regime(name).memory)

    def items(maker: int, n: int) -> Points:
        return Points(np.stack([np.full(n, maker), np.arange(n)], axis=1)[None].astype(float))

    for earlier in range(g):
        history.append(items(earlier, regime.needed(24)))
    source = Source(items(HUMAN, 24), 24, lambda n, g, rng: items(HUMAN, n))
    return regime(source, history, np.random.default_rng(5)), settings


@pytest.mark.parametrize("name", REGIMES)
def test_the_shares_of_a_pool_by_maker(name):
    pool, _ = pool_of(name, 3)
    table = provenance.shares_by_maker(pool.lineage)
    assert table["share"].sum() == pytest.approx(1) and table["items"].sum() == pool.items.size
    for maker, share in zip(table["maker"], table["share"], strict=True):
        assert share == pytest.approx(pool.lineage.share(maker))
        assert share == pytest.approx((pool.items.x[0, :, 0] == maker).mean())
    assert list(table["made_by"])[-1] == "synthetic, g = 2"


def test_makers_of_several_parts_and_of_chains_that_differ():
    counts = np.array([[2, 1, 1], [4, 0, 0]])
    table = provenance.shares_by_maker(Lineage(np.array([HUMAN, 0, HUMAN]), counts))
    assert table["made_by"].tolist() == ["human", "synthetic, g = 0"]
    assert table["items"].tolist() == [3.5, 0.5] and table["share"].tolist() == [0.875, 0.125]


@pytest.mark.parametrize("name", REGIMES)
def test_an_audit_finds_the_lineage_of_a_pool(name, tmp_path):
    """A pool is written maker by maker, each sealed; the audit gives back the lineage and the expected human share."""
    pool, options = pool_of(name, 3)
    corpus, makers = tmp_path / "pool.jsonl", pool.items.x[0, :, 0]
    with open(corpus, "w") as stream:
        for maker in sorted(set(makers)):
            stream.writelines(f"{json.dumps(item.tolist())}\n" for item in pool.items.x[0][makers == maker])
            stream.flush()
            seal(corpus, HUMANS if maker == HUMAN else sampled(int(maker)), KEY)
    report, table = audit(corpus, key=PUBLIC), provenance.shares_by_maker(pool.lineage)
    assert dict(report.known) == dict(zip(table["maker"], table["items"], strict=True))
    if name != "accumulate_subsample":
        share = expectations.expected_human_share(name, 3, **options)
        assert report.share(report.known[HUMAN]) == pytest.approx(float(share))


# Keys ---------------------------------------------------------------------------------------------------------------


def test_a_new_pair_belongs_together_and_replaces_nothing(tmp_path):
    public = provenance.new_pair(tmp_path / "mine")
    assert public.name == "mine.pub"
    key = provenance.read_private(tmp_path / "mine")
    Ed25519PublicKey.from_public_bytes(provenance.read_public(public)).verify(key.sign(b"x"), b"x")
    assert os.name == "nt" or (tmp_path / "mine").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "mine").read_bytes()
    with pytest.raises(ArchiveError, match="mine is already there; refusing to replace it"):
        provenance.new_pair(tmp_path / "mine")
    (tmp_path / "mine").rename(tmp_path / "moved")
    with pytest.raises(ArchiveError, match=r"mine\.pub is already there; refusing to replace it"):
        provenance.new_pair(tmp_path / "mine")
    assert (tmp_path / "moved").read_bytes() == before and not (tmp_path / "mine").exists()


def test_half_a_pair_is_none(tmp_path, monkeypatch):
    write = provenance.keys.write_bytes

    def once(path, *rest):
        if path.suffix == ".pub":
            raise ArchiveError("full")
        write(path, *rest)

    monkeypatch.setattr(provenance.keys, "write_bytes", once)
    with pytest.raises(ArchiveError, match="full"):
        provenance.new_pair(tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def pem(key, password: bytes | None = None) -> bytes:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def test_files_that_hold_no_key_that_can_be_used(tmp_path):
    path, other = tmp_path / "key", rsa.generate_private_key(65537, 2048)
    public = provenance.new_pair(tmp_path / "mine")
    for content in (
        b"",
        b"no key",
        pem(KEY)[:60],
        pem(KEY, b"password"),
        pem(other),
        public.read_bytes(),
        bytes(99_999),
    ):
        path.write_bytes(content)
        with pytest.raises(ProvenanceError, match="key holds no private key that can be used: an Ed25519 key in PEM"):
            provenance.read_private(path)
        if content != public.read_bytes():
            with pytest.raises(ProvenanceError, match="key holds no public key that can be used"):
                provenance.read_public(path)
    with pytest.raises(ProvenanceError, match="nowhere: No such file or directory"):
        provenance.read_private(tmp_path / "nowhere")


# The command line ---------------------------------------------------------------------------------------------------


@pytest.fixture
def there(tmp_path, monkeypatch) -> Path:
    """A place with a key pair, a folder of texts, a JSONL file and a record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL_COLLAPSE_RESULTS", str(tmp_path / "results"))
    provenance.new_pair(tmp_path / "mine")
    provenance.new_pair(tmp_path / "other")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a").write_text("a")
    (tmp_path / "pool.jsonl").write_text('{"text": "a"}\n')
    manifest = {"family": "gaussian", "run": "mine", "generations": 5, "identity": "ab" * 32}
    columns = {"arm": [""], "metric": ["x"], "generation": [0]}
    metrics, summary = pd.DataFrame(columns | {"chain": [0], "value": [0.0]}), pd.DataFrame(columns | {"count": [1]})
    save_record(tmp_path / "results/gaussian/mine", Record(manifest, metrics, summary))
    return tmp_path


MINE = ["--key", "mine"]
SYNTHETIC = ["--origin", "synthetic", "--generation", "3", "--run", "gaussian/mine", *MINE]


@pytest.mark.parametrize("name", ["texts", "pool.jsonl"])
def test_the_round_trip_and_every_status(there, capsys, name):
    def more(text: str) -> None:
        if name == "texts":
            (there / f"texts/{text}").write_text(text)
        else:
            with open(there / name, "a") as stream:
                stream.write(f'{{"text": "{text}"}}\n')

    ask = ["audit", name, "--key", "mine.pub"]
    status, out, _ = say(capsys, "seal", name, "--origin", "human", *MINE)
    assert (status, out) == (0, f"{name}.ledger: 1 items sealed\n")
    more("b")
    assert say(capsys, "seal", name, *SYNTHETIC)[1] == f"{name}.ledger: 1 items sealed, 1 had been before\n"
    assert read_ledger(there / f"{name}.ledger").entries[1].statement == Statement(
        "synthetic", 3, "gaussian/mine", "ab" * 32
    )
    status, out, err = say(capsys, *ask)
    assert (status, err) == (0, "") and "the ledger is intact and signed by the key that was given" in out
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["human", "1", "50.00%"], ["synthetic,", "g", "=", "3", "1", "50.00%"],
    ]  # fmt: skip
    status, out, _ = say(capsys, "audit", name)
    assert status == 0 and "whose key signed it is unknown" in out
    more("c")
    status, out, _ = say(capsys, *ask)
    assert status == 4 and "unknown" in out and "(nobody sealed it" in out
    status, out, err = say(capsys, *ask, "--json")
    report = json.loads(out)
    assert (status, err, report["status"], report["signer"]) == (4, "", 4, "given")
    shares = [report["human"], *report["synthetic"], report["unknown"], report["tampered"]]
    assert [share["items"] for share in shares] == [1, 1, 1, 0] and report["synthetic"][0]["generation"] == 3
    assert sum(share["share"] for share in shares) == pytest.approx(1)
    if name == "texts":
        (there / "texts/a").write_text("x")
    else:
        (there / name).write_text((there / name).read_text().replace('"a"', '"x"'))
    status, out, _ = say(capsys, *ask)
    assert status == 3 and "tampered: " in out
    status, out, err = say(capsys, "audit", name, "--key", "other.pub", "--json")
    assert (status, out) == (5, "") and err == (
        f"model-collapse: ledger {name}.ledger is signed by another key than the one that was given\n"
    )
    assert say(capsys, "audit", "nowhere")[0] == 1 and say(capsys, "audit")[0] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seal", "nowhere", "--origin", "human", *MINE], "nowhere: No such file or directory"),
        (["seal", "texts", "--origin", "humane", *MINE], "an origin is human or synthetic, not humane"),
        (["seal", "texts", "--origin", "synthetic", *MINE], "synthetic items need the generation"),
        (["seal", "texts", "--origin", "human", "--run", "gaussian/mine", *MINE], "human items come from no run"),
        (["seal", "texts", *SYNTHETIC[:3], "9", *SYNTHETIC[4:]], "run gaussian/mine ends at generation 5, before 9"),
        (["seal", "texts", *SYNTHETIC[:5], "gaussian/none", *MINE], "no record at"),
        (["seal", "texts", *SYNTHETIC[:5], "../results", *MINE], "a run is named FAMILY/RUN, not ../results"),
        (["seal", "texts", "--origin", "human", "--key", "mine.pub"], "mine.pub holds no private key that can be used"),
        (["seal", "texts", "--origin", "human", "--key", "texts/a"], "the private key a must lie beside the corpus"),
        (
            ["seal", "texts", "--origin", "human", *MINE, "--ledger", "texts/l"],
            "the ledger l must lie beside the corpus",
        ),
        (["seal", "texts", "--origin", "human", *MINE, "--only", "*.png"], "texts holds no items named *.png to seal"),
        (["seal", "/", "--origin", "human", *MINE], "a whole disk has no place beside it for a ledger"),
        (["seal", "mine.pub", "--origin", "human", *MINE], "mine.pub: line 1 is no JSON"),
        (["new-key", "mine"], "mine is already there; refusing to replace it"),
        (["audit", "texts"], "no ledger texts.ledger: model-collapse seal makes one"),
        (["audit", "texts", "--key", "mine"], "mine holds no public key that can be used"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(there, capsys, words, message):
    before = sorted(there.rglob("*"))
    status, out, err = say(capsys, *words)
    assert status == 1 and message in err and out == ""
    assert err.strip().count("\n") == 0 and "Traceback" not in err and sorted(there.rglob("*")) == before


@unix
def test_a_real_process_in_a_folder_with_names_that_a_terminal_would_obey(there, capsys):
    """Escapes on the way out, the status of the process itself, and a library that only ledgers need."""
    say(capsys, "seal", "texts", "--origin", "human", *MINE)
    for name in (b"\x1b[2J", b"\xff", b"two\nlines"):
        Path(os.fsdecode(os.path.join(os.fsencode(there), b"texts", name))).write_text("x")
    script = "import sys; from model_collapse.cli import main; 'cryptography' in sys.modules and sys.exit(9); main()"
    done = subprocess.run([sys.executable, "-c", script, "audit", "texts"], capture_output=True)
    out = done.stdout.decode("ascii")
    assert done.returncode == 4 and done.stderr == b"" and "\x1b" not in out
    assert "two\\nlines" in out and "\\x1b[2J" in out and out.count("unknown: ") == 3
    status, out, _ = say(capsys, "audit", "texts", "--json")
    assert status == 4 and out.isascii() and "\x1b" not in out and json.loads(out)["unknown"]["items"] == 3


def test_without_the_library_one_line_says_what_to_install(there, capsys, monkeypatch):
    say(capsys, "seal", "texts", "--origin", "human", *MINE)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    for words in (["new-key", "k"], ["seal", "texts", "--origin", "human", *MINE], ["audit", "texts"]):
        status, _, err = say(capsys, *words)
        assert status == 1 and err.endswith('which is not installed: pip install -e ".[provenance]"')
        assert not (there / "k").exists()
