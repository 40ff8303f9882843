"""Key pairs for ledgers: Ed25519, in PEM files that other programs read as well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..archive import ArchiveError
from ..archive.files import write_bytes
from .errors import ProvenanceError, shown

if TYPE_CHECKING:  # the library is only needed by those who seal or audit
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["new_pair", "public_bytes", "read_private", "read_public", "sign", "verifies"]

MOST_BYTES = 2**16  # of a key's file
WANTED = "an Ed25519 key in PEM without a password is wanted, as model-collapse new-key makes it"


def new_pair(path: Path) -> Path:
    """Write a new private key to `path`, readable by its owner alone, and the public one beside it; the latter's path.

    Raises
    ------
    ArchiveError
        Where one of the two is already there (nothing is ever replaced) or cannot be written.
    """
    serialization, ed25519 = _library()
    public = path.with_name(f"{path.name}.pub")
    for there in (path, public):
        if os.path.lexists(there):
            raise ArchiveError(f"{shown(str(there))} is already there; refusing to replace it")
    key = ed25519.Ed25519PrivateKey.generate()
    pem, whole = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        write_bytes(path, secret, 0o600)
        write_bytes(public, key.public_key().public_bytes(pem, whole))
    except BaseException:  # a pair is whole or not there, Ctrl-C included
        path.unlink(missing_ok=True)
        public.unlink(missing_ok=True)
        raise
    return public


def read_private(path: Path) -> Ed25519PrivateKey:
    """The private key in a file; raises `ProvenanceError` where there is none that can be used."""
    serialization, ed25519 = _library()
    return _loaded(
        path, ed25519.Ed25519PrivateKey, "private", lambda pem: serialization.load_pem_private_key(pem, None)
    )


def read_public(path: Path) -> bytes:
    """The 32 bytes of the public key in a file; raises `ProvenanceError` where there is none that can be used."""
    serialization, ed25519 = _library()
    return _loaded(path, ed25519.Ed25519PublicKey, "public", serialization.load_pem_public_key).public_bytes_raw()


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of a private key's public half."""
    return key.public_key().public_bytes_raw()


def sign(key: Ed25519PrivateKey, message: bytes) -> bytes:
    """The signature, 64 bytes."""
    return key.sign(message)


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of a public key signed the message."""
    _, ed25519 = _library()
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # a ValueError of bytes that are no key
        return False
    return True


def _loaded(path: Path, kind: type, half: str, load):
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        with open(path, "rb") as stream:
            pem = stream.read(MOST_BYTES)
    except OSError as error:
        raise ProvenanceError(f"{shown(path.name)}: {error.strerror or error}") from None
    try:
        key = load(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # a TypeError of a key with a password
        key = None
    if not isinstance(key, kind):
        raise ProvenanceError(f"{shown(path.name)} holds no {half} key that can be used: {WANTED}")
    return key


def _library():
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ProvenanceError(
            'ledgers are signed by the library cryptography, which is not installed: pip install -e ".[provenance]"'
        ) from None
    return serialization, ed25519
