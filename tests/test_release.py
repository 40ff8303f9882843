"""A release: records as an RO-Crate that keeps the standard's rules, the site, the PDF, and what it refuses."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from PIL import Image

from model_collapse import load_record, vae
from model_collapse.archive import ArchiveError
from model_collapse.archive.crate import crate_of
from model_collapse.book import checkout, pages, printing, readme, release
from model_collapse.planning import archived
from model_collapse.theory import gaussian


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder of results: a record without human data, one with, and a file that belongs to no record."""
    root = tmp_path_factory.mktemp("results")
    gaussian.run("replace", "smoke", save=root, progress=False)
    vae.run("stream-replace", "smoke", save=root, progress=False)
    (root / "scorecard.json").write_text("[]")
    (root / "Notes.TXT").write_text("of no format that the crate knows")
    (root / "ro-crate-metadata.json").write_text("of an earlier crate")
    return root


@pytest.fixture(scope="module")
def crate(results: Path, tmp_path_factory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("crate") / "records.zip"
    crate_of(results, archived(results), "1.2", "2026-01-31").write_zip(target)
    return zipfile.ZipFile(target)


def described(crate: zipfile.ZipFile) -> dict:
    return json.loads(crate.read("ro-crate-metadata.json"))


def broken_rules(metadata: dict, files: list[str]) -> Iterator[str]:
    """What the standard's MUST list (RO-Crate 1.1 and later, Process Run Crate 0.5) finds wrong."""
    context = json.dumps(metadata.get("@context"))
    if not re.search(r"https://w3id\.org/ro/crate/1\.\d+/context", context):
        yield "the context is not RO-Crate's"
    graph = metadata["@graph"]
    for entity in graph:
        if not entity.get("@id") or not entity.get("@type"):
            yield f"an entity without @id or @type: {entity}"
    by_id = {entity.get("@id"): entity for entity in graph}
    if len(by_id) < len(graph):
        yield "one @id stands for two entities"
    descriptor, root = by_id.get("ro-crate-metadata.json", {}), by_id.get("./", {})
    if descriptor.get("@type") != "CreativeWork" or descriptor.get("about") != {"@id": "./"}:
        yield "the descriptor is not about the root"
    if not re.fullmatch(r"https://w3id\.org/ro/crate/1\.\d+", descriptor.get("conformsTo", {}).get("@id", "")):
        yield "the descriptor names no version of the standard"
    if root.get("@type") != "Dataset" or not root.get("name") or not root.get("description"):
        yield "the root is no dataset with name and description"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", str(root.get("datePublished"))):
        yield "the root has no date to the day"
    if root.get("license", {}).get("@id") not in by_id:
        yield "the licence is not described"

    def parts(entity: dict) -> list[str]:
        return [part["@id"] for part in entity.get("hasPart", [])]

    reached, waiting = set(), ["./"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += parts(by_id.get(name, {}))
    for entity in graph:
        name, kind = entity.get("@id", ""), entity.get("@type")
        if kind in ("File", "Dataset") and name not in reached:
            yield f"{name} is no part of the root"
        if kind == "File" and (name not in files or name.startswith(("/", ".", "file:"))):
            yield f"{name} is not in the crate"
        if kind == "CreateAction":
            for needed in ("instrument", "result"):
                if not entity.get(needed):
                    yield f"{name} has no {needed}"
        for value in entity.values():
            for one in value if isinstance(value, list) else [value]:
                leads = one.get("@id", "") if isinstance(one, dict) else ""
                if leads and leads not in by_id and not leads.startswith("https://w3id.org/ro/crate/"):
                    yield f"{name} leads to {leads}, which is not described"
    for name in files:
        if name != "ro-crate-metadata.json" and by_id.get(name, {}).get("@type") != "File":
            yield f"{name} is not described"


def test_the_records_are_a_crate_by_the_standards_rules(crate: zipfile.ZipFile) -> None:
    assert list(broken_rules(described(crate), crate.namelist())) == []


def _without(name: str, key: str):
    def plant(metadata: dict) -> None:
        next(entity for entity in metadata["@graph"] if entity["@id"] == name).pop(key)

    return plant


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (_without("./", "datePublished"), "no date"),
        (_without("./", "license"), "licence"),
        (_without("./", "hasPart"), "is no part of the root"),
        (_without("ro-crate-metadata.json", "conformsTo"), "no version"),
        (_without("#run-gaussian-smoke-replace", "instrument"), "has no instrument"),
        (_without("#contributors", "@type"), "without @id or @type"),
        (lambda metadata: metadata["@graph"].pop(), "not described"),
        (lambda metadata: metadata.update({"@context": "https://schema.org"}), "context"),
    ],
)
def test_the_rules_find_what_was_planted(crate: zipfile.ZipFile, plant, message: str) -> None:
    metadata = copy.deepcopy(described(crate))
    plant(metadata)
    assert any(message in found for found in broken_rules(metadata, crate.namelist()))


def test_a_crate_says_who_made_what_from_what(crate: zipfile.ZipFile, results: Path) -> None:
    by_id = {entity["@id"]: entity for entity in described(crate)["@graph"]}
    for family, run in (("gaussian", "smoke-replace"), ("vae", "smoke-stream-replace")):
        record = load_record(family, run, results)
        dataset, made = by_id[f"{family}/{run}/"], by_id[f"#run-{family}-{run}"]
        assert dataset["identifier"] == record.identifier == f"{family}/{run}@{record.manifest['digest'][:12]}"
        assert made["result"] == [{"@id": f"{family}/{run}/"}] and by_id[made["instrument"]["@id"]]["softwareVersion"]
        assert f"run {family}" in made["description"] and made["duration"].startswith("PT")
        for part in dataset["hasPart"]:
            checksum = by_id[part["@id"]].get("sha256")
            assert checksum or part["@id"].endswith("manifest.json")
            assert checksum in (None, hashlib.sha256(crate.read(part["@id"])).hexdigest())
    human = by_id[by_id["#run-vae-smoke-stream-replace"]["object"][0]["@id"]]
    assert human["name"] == load_record("vae", "smoke-stream-replace", results).manifest["data"]["name"]
    assert "object" not in by_id["#run-gaussian-smoke-replace"]
    assert by_id["./"]["version"] == "1.2" and by_id["./"]["datePublished"] == "2026-01-31"
    assert by_id["scorecard.json"]["@type"] == "File"


def test_a_damaged_record_is_in_no_crate(tmp_path: Path) -> None:
    gaussian.run("replace", "smoke", save=tmp_path, progress=False)
    table = tmp_path / "gaussian/smoke-replace/metrics.parquet"
    table.write_bytes(table.read_bytes()[:-1] + b"x")
    with pytest.raises(ArchiveError, match=r"metrics\.parquet"):
        crate_of(tmp_path, archived(tmp_path), "1", "2026-01-31")


def test_an_unpacked_crate_is_a_folder_of_results(crate: zipfile.ZipFile, tmp_path: Path) -> None:
    """Three lines, where nothing but the package and the zip are at hand."""
    crate.extractall(tmp_path / "records")
    lines = "from model_collapse import load_record\nrecord = load_record('vae', 'smoke-stream-replace')\n"
    lines += "print(record.identifier)"
    env = os.environ | {"MODEL_COLLAPSE_RESULTS": str(tmp_path / "records")}
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.startswith("vae/smoke-stream-replace@"), done.stderr


# Bringing it together ----------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, results: Path, monkeypatch) -> Path:
    """A checkout with one commit in which a site and a PDF were built."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODEL_COLLAPSE_RESULTS", raising=False)
    shutil.copytree(results, release.RESULTS)
    (tmp_path / "_toc.yml").write_text("root: index\n")
    (tmp_path / ".gitignore").write_text("_build/\n")
    (tmp_path / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "commit", "-qm", "first")
    for path, text in {
        pages.HTML / "index.html": "<p>book</p>",
        pages.HTML / "_static/a.css": "",
        printing.PDF: "%PDF",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def git(*command: str) -> str:
    return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout.strip()


def test_a_release_has_every_part_and_its_checksum(repository: Path, monkeypatch) -> None:
    monkeypatch.setattr(pages, "make_pages", lambda: again.append("pages"))
    monkeypatch.setattr(pages, "check_html", lambda: again.append("checked"))
    again: list[str] = []
    files = {path.name.rpartition("-")[2]: path for path in release.make_release()}
    assert set(files) == {"CITATION.cff", "site.zip", "book.pdf", "records.zip", "SHA256SUMS"}
    sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].read_text().splitlines())
    listed = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}
    assert sums == {name: checksum for name, checksum in listed.items() if name != "SHA256SUMS"}
    assert again == ["pages", "checked"]  # they were built before the commit, and said so
    (pages.HTML / "index.html").write_text(checkout.made_of())
    assert len(release.make_release()) == len(files) and again == ["pages", "checked"]
    site = zipfile.ZipFile(files["site.zip"])
    assert {name.partition("/")[2] for name in site.namelist()} == {"index.html", "_static/a.css"}
    records = described(zipfile.ZipFile(files["records.zip"]))
    root = next(entity for entity in records["@graph"] if entity["@id"] == "./")
    assert root["datePublished"] == checkout.commit().date


def test_what_is_not_built_or_not_committed_is_not_released(repository: Path, monkeypatch) -> None:
    Path("more.txt").write_text("of no commit")
    with pytest.raises(pages.BookError, match="commit what has changed"):
        release.make_release()
    Path("more.txt").unlink()
    monkeypatch.setenv("MODEL_COLLAPSE_RESULTS", "elsewhere")
    with pytest.raises(pages.BookError, match="and no others"):
        release.make_release()
    printing.PDF.unlink()
    with pytest.raises(pages.BookError, match="make pdf"):
        release.make_release()
    assert not release.RELEASE.exists()


def test_a_checkout_says_what_it_is_at(repository: Path) -> None:
    found = checkout.commit()
    assert found.name == git("rev-parse", "--short", "HEAD") and not found.changed
    assert f"commit {found.name} of {found.date};" in checkout.made_of()
    Path("CITATION.cff").write_text("other")
    assert checkout.commit().changed and ", with changes;" in checkout.made_of()


def test_a_copy_in_somebody_elses_repository(repository: Path) -> None:
    (repository / "copy").mkdir()
    assert checkout.commit(repository / "copy") is None


def test_a_copy_that_git_does_not_know(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout.commit(tmp_path) is None
    assert "outside a checkout; built with Python" in checkout.made_of(tmp_path)


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    described_in = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{cited["version"]}"\n' in described_in
    assert f"version = {{{cited['version']}}}" in (ROOT / "chapters/cite.md").read_text(encoding="utf-8")


def test_the_page_on_citing_names_records_that_are_there() -> None:
    page = (ROOT / "chapters/cite.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)/([\w-]+)@([0-9a-f]{12})`", page)
    assert named
    for family, run, checksum in named:
        assert load_record(family, run, ROOT / "data/results").identifier == f"{family}/{run}@{checksum}"
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The README --------------------------------------------------------------------------------------------------------


def test_the_readme_says_what_the_records_say() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.filled(text, readme.made_part(ROOT / "data/results")) == text, "stale: run make readme"
    with Image.open(ROOT / readme.PICTURE) as picture:
        assert all(f"`{identifier}`" in text for identifier in picture.text["Source"].split(", "))


def test_a_part_is_put_between_the_marks() -> None:
    text = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    assert readme.filled(text, "new") == text.replace("old", "new")
    for broken in ("no marks", f"{readme.END}\n{readme.BEGIN}"):
        with pytest.raises(ValueError, match=r"README\.md has no lines"):
            readme.filled(broken, "new")
