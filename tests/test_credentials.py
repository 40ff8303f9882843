"""Content credentials of a run: read back with the library that others read them with."""

import hashlib
import io
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from test_cli import say

from model_collapse.archive import ArchiveError, Record, load_record, save_record
from model_collapse.provenance import ProvenanceError, new_pair
from model_collapse.provenance.credentials import certificate, export_credentials

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


@pytest.fixture
def record(tmp_path) -> Path:
    manifest = {"family": "gaussian", "run": "mine", "generations": 5, "identity": "ab" * 32, "seed": 7}
    manifest |= {"data": {"name": "points", "sha256": "cd" * 32, "bytes": 9}}
    columns = {"arm": [""], "metric": ["x"], "generation": [0]}
    metrics, summary = pd.DataFrame(columns | {"chain": [0], "value": [0.0]}), pd.DataFrame(columns | {"count": [1]})
    return save_record(tmp_path / "results/gaussian/mine", Record(manifest, metrics, summary)).path


def read(asset: bytes, sidecar: bytes, anchor: Ed25519PrivateKey | None = None) -> tuple[str, dict]:
    """How a reader without a network judges credentials, and what they say."""
    c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not installed: it has no build for some systems")
    trust = {"trust": {"trust_anchors": certificate(anchor).decode()}} if anchor else {}
    context = c2pa.Context(c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False}} | trust))
    with c2pa.Reader("application/json", io.BytesIO(asset), sidecar, context=context) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


def test_credentials_say_of_a_run_what_its_record_says(record, tmp_path):
    pytest.importorskip("c2pa")
    export_credentials(record, KEY, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.json", "manifest.c2pa", "certificate.pem"}
    asset, sidecar = ((tmp_path / "out" / name).read_bytes() for name in ("manifest.json", "manifest.c2pa"))
    assert asset == (record / "manifest.json").read_bytes()  # so its checksums hold the record's other files
    assert [read(asset, sidecar, anchor)[0] for anchor in (KEY, OTHER, None)] == ["Trusted", "Valid", "Valid"]
    said = read(asset, sidecar)[1]
    assert said["title"] == "gaussian/mine" and said["signature_info"]["alg"] == "Ed25519"
    assertions = {one["label"]: one["data"] for one in said["assertions"]}
    assert assertions["model-collapse.run"] == {
        "family": "gaussian", "run": "mine", "identity": "ab" * 32, "generations": 5, "seed": 7,
        "digest": load_record(record).manifest["digest"], "data": {"name": "points", "sha256": "cd" * 32},
    }  # fmt: skip
    (action,) = assertions["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created" and action["digitalSourceType"].endswith("/trainedAlgorithmicData")
    assert str(tmp_path) not in json.dumps(said) and str(tmp_path).encode() not in sidecar


def test_what_was_changed_afterwards_is_invalid(record, tmp_path):
    pytest.importorskip("c2pa")
    export_credentials(record, KEY, tmp_path / "out")
    asset, sidecar = ((tmp_path / "out" / name).read_bytes() for name in ("manifest.json", "manifest.c2pa"))
    assert read(asset.replace(b'"seed": 7', b'"seed": 8'), sidecar, KEY)[0] == "Invalid"
    for said in (b"gaussian/mine", b"trainedAlgorithmicData", b"ab" * 32):  # the title, the action, the run
        assert sidecar.count(said) == 1
        assert read(asset, sidecar.replace(said, said[::-1]), KEY)[0] == "Invalid"
    at = sidecar.rindex(b"\x58\x40") + 2  # the signature: a byte string of 64 bytes at the end
    assert at + 64 == len(sidecar)
    assert read(asset, sidecar[:at] + bytes([sidecar[at] ^ 1]) + sidecar[at + 1 :], KEY)[0] == "Invalid"


def test_the_certificate_depends_on_the_key_alone():
    made = x509.load_pem_x509_certificate(certificate(KEY))
    assert certificate(KEY) == certificate(KEY) != certificate(OTHER)
    made.verify_directly_issued_by(made)
    assert made.public_key() == KEY.public_key() and 0 < made.serial_number < 2**159
    assert KEY.public_key().public_bytes_raw().hex() in made.subject.rfc4514_string()
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_nothing_is_replaced_and_no_damaged_record_is_signed(record, tmp_path):
    pytest.importorskip("c2pa")
    export_credentials(record, KEY, tmp_path / "out")
    before = hashlib.sha256((tmp_path / "out/manifest.c2pa").read_bytes()).digest()
    with pytest.raises(ArchiveError, match="out is already there; refusing to replace it"):
        export_credentials(record, KEY, tmp_path / "out")
    assert hashlib.sha256((tmp_path / "out/manifest.c2pa").read_bytes()).digest() == before
    (record / "summary.parquet").write_bytes(b"")
    with pytest.raises(ArchiveError, match=r"summary\.parquet is missing, truncated or edited"):
        export_credentials(record, KEY, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_what_the_library_refuses_is_one_line(record, tmp_path, monkeypatch):
    c2pa = pytest.importorskip("c2pa")

    def refuse(*_):
        raise c2pa.C2paError("no\nfurther")

    monkeypatch.setattr(c2pa.Builder, "sign", refuse)
    with pytest.raises(ProvenanceError, match="the content credentials of mine cannot be signed: no$"):
        export_credentials(record, KEY, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(record, tmp_path, capsys, monkeypatch):
    pytest.importorskip("c2pa")
    monkeypatch.setenv("MODEL_COLLAPSE_RESULTS", str(tmp_path / "results"))
    new_pair(tmp_path / "mine")
    words = ["credentials", "gaussian/mine", "--key", str(tmp_path / "mine"), "--out", str(tmp_path / "out")]
    assert say(capsys, *words)[0] == 0 and (tmp_path / "out/manifest.c2pa").is_file()
    status, _, err = say(capsys, "credentials", "../results", *words[2:])
    assert status == 1 and "a run is named FAMILY/RUN, not ../results" in err
    status, _, err = say(capsys, "credentials", "gaussian/none", *words[2:])
    assert status == 1 and "no record at" in err


def test_without_the_library_one_line_says_what_to_install(record, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(ProvenanceError, match=r'c2pa-python, .*: pip install -e "\.\[credentials\]"$'):
        export_credentials(record, KEY, tmp_path / "out")
    assert not (tmp_path / "out").exists()
