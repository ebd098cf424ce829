"""Whose name stands under what we say about an image: the team's own certificate, or one made here.

A certificate made here is signed by a root whose key is thrown away. It proves that nothing was changed
since, and says of itself that nobody vouches for it; a certificate of an authority on the C2PA trust list is
what makes a viewer name the team.
"""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from packshot.kernel.errors import PackshotError

LOCAL_NAME = "Packshot (made here, untrusted)"
_LOCAL_DAYS = 3650
_RENEW_DAYS = 30
_DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class BadIdentity(PackshotError):
    """The certificate or its key cannot be used. Nothing is signed, and nothing unsigned is delivered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its chain of certificates, both PEM, the signer's own first."""

    chain: bytes
    key: bytes = field(repr=False)  # a value that is printed or logged shows no key
    algorithm: str
    name: str
    until: datetime
    local: bool  # made here: viewers say that they do not know the signer


def own(chain: Path, key: Path) -> Identity:
    """The team's certificate. Raises BadIdentity with what is wrong, never with what is in the key."""
    try:
        certificates, secret = chain.read_bytes(), key.read_bytes()
    except OSError as problem:
        raise BadIdentity(f"{problem.filename} cannot be read ({problem.strerror})") from None
    return _understood(certificates, secret, str(chain), local=False)


def local(path: Path) -> Identity:
    """The certificate made here, in one file that only its owner can read. Made at first use, and anew when
    it is about to run out; of two processes at once, the first one's is used."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    if content:
        identity = _from_one_file(content, path)
        if identity.until - datetime.now(UTC) > timedelta(days=_RENEW_DAYS):
            return identity
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fresh.touch(mode=0o600)
    try:
        fresh.write_bytes(b"".join(_made_here()))
        if content:
            fresh.replace(path)
        else:
            os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
    return _from_one_file(path.read_bytes(), path)


def _from_one_file(content: bytes, path: Path) -> Identity:
    mark = content.find(b"-----BEGIN CERTIFICATE-----")
    return _understood(content[mark:], content[:mark], str(path), local=True)


def _understood(chain: bytes, key: bytes, where: str, *, local: bool) -> Identity:
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        secret = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not the library's words: they may quote what it read.
        raise BadIdentity(f"{where} or its key is not PEM without a password") from None
    leaf = certificates[0]
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*public) != secret.public_key().public_bytes(*public):
        raise BadIdentity(f"the key does not belong to the first certificate in {where}")
    until = leaf.not_valid_after_utc
    if until < datetime.now(UTC):
        raise BadIdentity(f"the certificate in {where} ran out on {until:%Y-%m-%d}")
    if len(certificates) == 1 and leaf.issuer == leaf.subject:
        raise BadIdentity(f"{where} signs itself; C2PA asks for a chain, the signer's certificate first")
    return Identity(chain, key, _algorithm(secret), _name(leaf), until, local)


def _algorithm(key: PrivateKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise BadIdentity("the signing key is of a kind that C2PA does not know; take ECDSA on P-256")


def _name(certificate: x509.Certificate) -> str:
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for each in certificate.subject.get_attributes_for_oid(kind):
            return str(each.value)
    return certificate.subject.rfc4514_string()


def _made_here() -> Iterable[bytes]:
    """A fresh key and its certificate, and the root that signed it and can sign nothing more."""
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, leaf_name = _subject("root"), _subject("claims")
    authority = (
        _certificate(root_name, root_name, root.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    signer = (
        _certificate(leaf_name, root_name, leaf.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, _DOCUMENT_SIGNING]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    return (
        leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        signer.public_bytes(Encoding.PEM),
        authority.public_bytes(Encoding.PEM),
    )


def _subject(what: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, LOCAL_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{LOCAL_NAME}, {what}"),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks of two machines differ
        .not_valid_after(now + timedelta(days=_LOCAL_DAYS))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
