"""Content credentials (C2PA): a signed manifest that says of a run what other programs can read.

What is signed is the record's ``manifest.json``, which holds the SHA-256 of every other file of the record. The
credentials lie beside it under the same name, as a sidecar: in tables and arrays nothing can be embedded.

Signing needs no network: the certificate is made from the key alone, and no authority is asked for the time. Whoever
checks the credentials without that certificate as an anchor of trust reads *valid*, by an unknown signer; with it,
*trusted*. It is the same for all that a key signs, and it does not end: as nobody vouches for the time of signing, the
credentials would end with it.
"""

from __future__ import annotations

import datetime
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..archive import load_record
from ..archive.files import write_bytes, write_folder
from .errors import ProvenanceError
from .keys import public_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["certificate", "export_credentials"]

ASSET, SIDECAR, CERTIFICATE = "manifest.json", "manifest.c2pa", "certificate.pem"
FORMAT = "application/json"
SOURCE = "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData"  # data that a trained model made
SAID = ("family", "run", "identity", "profile", "study", "regime", "variant", "seed", "generations", "chains", "begun")
OFFLINE = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
FIRST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
LAST = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)  # RFC 5280, 4.1.2.5: no well-defined end


def export_credentials(record: Path, key: Ed25519PrivateKey, target: Path) -> None:
    """Write a folder with a record's manifest, its content credentials and the certificate to check them with.

    Parameters
    ----------
    record : Path
        The record's folder.
    target : Path
        Made in one step; a folder that is there must be empty.

    Raises
    ------
    ArchiveError
        Where the record is damaged, or the folder is there already or cannot be written.
    ProvenanceError
        Where the library ``c2pa-python`` is not installed or refuses to sign.
    """
    c2pa = _library()
    manifest = load_record(record).manifest
    asset, pem = (record / ASSET).read_bytes(), certificate(key)
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(OFFLINE))
        signer = c2pa.Signer.from_callback(key.sign, c2pa.C2paSigningAlg.ED25519, pem.decode())
        with signer, c2pa.Builder(_claim(manifest), context) as builder:
            builder.set_no_embed()
            signed = builder.sign(signer, FORMAT, io.BytesIO(asset), io.BytesIO())
    except c2pa.C2paError as error:
        reason = str(error).partition("\n")[0]
        raise ProvenanceError(f"the content credentials of {record.name} cannot be signed: {reason}") from None

    def fill(folder: Path) -> None:
        for name, content in ((ASSET, asset), (SIDECAR, signed), (CERTIFICATE, pem)):
            write_bytes(folder / name, content)

    write_folder(target, fill)


def certificate(key: Ed25519PrivateKey) -> bytes:
    """The certificate of a key, in PEM: made from the key alone, signed by itself, the same every time."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    public = public_bytes(key)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Owner of a key of model-collapse"),
            x509.NameAttribute(NameOID.COMMON_NAME, public.hex()),
        ]
    )
    unused = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"]
    unused += ["crl_sign", "encipher_only", "decipher_only"]
    builder = x509.CertificateBuilder(name, name, key.public_key(), _serial(public), FIRST, LAST)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **dict.fromkeys(unused, False)), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True),  # C2PA wants this one or a like one
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, None).public_bytes(Encoding.PEM)


def _serial(public: bytes) -> int:
    """A positive number of at most 20 bytes, as RFC 5280 wants it."""
    return int.from_bytes(hashlib.sha256(public).digest()[:19], "big") + 1


def _claim(manifest: dict) -> dict:
    said = {name: manifest[name] for name in SAID if manifest.get(name) is not None}
    said |= {"digest": manifest["digest"]}
    if manifest.get("data"):
        said["data"] = {name: manifest["data"][name] for name in ("name", "sha256") if name in manifest["data"]}
    actions = [{"action": "c2pa.created", "digitalSourceType": SOURCE}]
    return {
        "claim_generator_info": [{"name": "model-collapse"}],
        "title": f"{manifest['family']}/{manifest['run']}",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}, "created": True},
            {"label": "model-collapse.run", "data": said, "created": True},
        ],
    }


def _library():
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError):  # the latter two where its native part does not load
        raise ProvenanceError(
            "content credentials are signed by the library c2pa-python, which is not installed or does not load here: "
            'pip install -e ".[credentials]"'
        ) from None
    return c2pa
