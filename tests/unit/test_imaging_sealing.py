"""Public copies say what made them, signed; readers that are not ours find it: exiftool, and C2PA's own."""

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import c2pa
import pytest
import pyvips
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from packshot.imaging import sealing, signing
from packshot.imaging.provenance import VOCABULARY, Provenance, SourceType, read_xmp, source_type, write_xmp
from packshot.imaging.renditions import Decoder, Rendition
from packshot.imaging.sealing import NotSealed, Sealer, has_manifest
from packshot.imaging.signing import BadIdentity, Identity

FORMATS = ("png", "jpeg", "webp", "avif")
MADE = Provenance("trainedAlgorithmicMedia", "openai gpt-image-1")
SOURCES: list[SourceType] = [
    "trainedAlgorithmicMedia",
    "algorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
]
OFFLINE = json.dumps({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return signing.local(tmp_path_factory.mktemp("signing") / "signing.pem")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as started:
        yield started


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    with Sealer() as started:
        yield started


def photo(side: int = 300) -> bytes:
    place = pyvips.Image.xyz(side, side)
    bands = place[0].bandjoin([place[1], (place[0] + place[1]) / 2])
    return bytes((bands % 256).cast("uchar").copy(interpretation="srgb").write_to_buffer(".png"))


def copies(decoder: Decoder, provenance: Provenance = MADE) -> list[Rendition]:
    specs = [f"{each}-200" for each in FORMATS]
    return decoder.make(photo(), specs, xmp=write_xmp(provenance), across=True).renditions


def read(content: bytes, media_type: str, settings: str = OFFLINE) -> tuple[str, dict[str, Any]]:
    """What C2PA's own reader says of a file: the state and the whole report."""
    with (
        c2pa.Context.from_json(settings) as context,
        c2pa.Reader(media_type, io.BytesIO(content), context=context) as reader,
    ):
        return reader.get_validation_state(), json.loads(reader.json())


def actions(report: dict[str, Any]) -> list[dict[str, Any]]:
    manifest = report["manifests"][report["active_manifest"]]
    (found,) = (each for each in manifest["assertions"] if each["label"].startswith("c2pa.actions"))
    return list(found["data"]["actions"])


# -- the mark is there ---------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
def test_every_format_says_what_made_it_and_the_signature_holds(
    decoder: Decoder, sealer: Sealer, identity: Identity, source: SourceType
) -> None:
    provenance = Provenance(source, "a <model> & its maker")
    for copy in copies(decoder, provenance):
        sealed = sealer.seal(copy.content, copy.media_type, provenance, identity)
        state, report = read(sealed, copy.media_type)
        assert state == "Valid", copy.spec
        assert [each["code"] for each in report["validation_status"]] == ["signingCredential.untrusted"]
        created, resized = actions(report)
        assert created["action"] == "c2pa.created"
        assert created["digitalSourceType"] == VOCABULARY + source
        assert created["softwareAgent"]["name"] == "a <model> & its maker"
        assert resized["action"] == "c2pa.resized"
        manifest = report["manifests"][report["active_manifest"]]
        assert manifest["signature_info"]["issuer"] == signing.LOCAL_NAME
        assert read_xmp(sealed) == provenance


def test_exiftool_finds_the_source_and_the_tool_in_every_format(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path
) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    for copy in copies(decoder):
        file = tmp_path / f"copy.{copy.spec.partition('-')[0]}"
        file.write_bytes(sealer.seal(copy.content, copy.media_type, MADE, identity))
        # Strictly: an XMP packet that is not where the format's standard puts it draws a warning.
        asked = ["exiftool", "-json", "-warning", "-error", "-XMP:all", "-JUMBF:all", "-FileType", str(file)]
        (said,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        assert said["DigitalSourceType"] == VOCABULARY + "trainedAlgorithmicMedia", copy.spec
        assert said["CreatorTool"] == MADE.tool
        assert said["FileType"].lower().removeprefix("extended ") == copy.spec.partition("-")[0]
        assert not {"Warning", "Error"} & said.keys(), said


def test_one_changed_byte_is_detected_wherever_it_stands(
    decoder: Decoder, sealer: Sealer, identity: Identity
) -> None:
    for copy in copies(decoder):
        sealed = sealer.seal(copy.content, copy.media_type, MADE, identity)
        assert read(sealed, copy.media_type)[0] == "Valid"
        # In the pixels and in the XMP: the manifest's own bytes come between in some formats.
        xmp = sealed.index(b"<x:xmpmeta") + 300
        pixels = sealed.index(copy.content[len(copy.content) // 2 :][:24]) + 5
        for place in (xmp, pixels):
            changed = bytearray(sealed)
            changed[place] ^= 1
            assert read(bytes(changed), copy.media_type)[0] == "Invalid", (copy.spec, place)


def test_the_pixels_and_the_mark_are_those_of_the_copy_that_was_sealed(
    decoder: Decoder, sealer: Sealer, identity: Identity
) -> None:
    for copy in copies(decoder):
        sealed = sealer.seal(copy.content, copy.media_type, MADE, identity)
        before, after = (pyvips.Image.new_from_buffer(each, "") for each in (copy.content, sealed))
        assert (before - after).abs().max() == 0
        assert len(sealed) - len(copy.content) < 4_000  # bytes that every shopper loads


def test_a_photo_that_nobody_edited_is_said_to_be_no_more_than_opened(
    decoder: Decoder, sealer: Sealer, identity: Identity
) -> None:
    plain = Provenance(source_type("digitalCapture"), "upload")
    for copy in copies(decoder, plain):
        assert b"DigitalSourceType" not in copy.content
        sealed = sealer.seal(copy.content, copy.media_type, plain, identity, original=photo())
        state, report = read(sealed, copy.media_type)
        opened, _ = actions(report)
        assert (state, opened["action"]) == ("Valid", "c2pa.opened")
        assert "digitalSourceType" not in opened
        assert b"igitalSourceType" not in sealed


# -- what the provider said about it ----------------------------------------------------------------


def signed_by_provider(sealer: Sealer, folder: Path) -> bytes:
    """An original as a provider sends it: a PNG with a manifest of the provider's own."""
    theirs = signing.local(folder / "provider.pem")
    return sealer.seal(photo(), "image/png", Provenance("trainedAlgorithmicMedia", "their model"), theirs)


def test_the_provider_s_own_manifest_is_kept_as_an_ingredient_in_every_format(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path
) -> None:
    original = signed_by_provider(sealer, tmp_path)
    assert has_manifest(original) and not has_manifest(photo())
    (theirs,) = read(original, "image/png")[1]["manifests"]
    for copy in copies(decoder):
        sealed = sealer.seal(copy.content, copy.media_type, MADE, identity, original=original)
        state, report = read(sealed, copy.media_type)
        assert state == "Valid"
        assert theirs in report["manifests"] and len(report["manifests"]) == 2
        (ingredient,) = report["manifests"][report["active_manifest"]]["ingredients"]
        assert (ingredient["relationship"], ingredient["active_manifest"]) == ("parentOf", theirs)
        opened, _ = actions(report)
        assert opened["action"] == "c2pa.opened"
        assert opened["digitalSourceType"] == VOCABULARY + "trainedAlgorithmicMedia"


def test_a_broken_manifest_of_a_provider_spoils_nothing(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path
) -> None:
    original = signed_by_provider(sealer, tmp_path)
    (copy, *_) = copies(decoder)
    start = original.index(b"jumb")
    for damaged in (
        original[: start + 200] + b"\xff" * 400 + original[start + 600 :],
        original[:start] + b"jumbc2pa" + original[start + 8 :],
        photo() + b"jumb c2pa",
    ):
        sealed = sealer.seal(copy.content, copy.media_type, MADE, identity, original=damaged)
        state, report = read(sealed, copy.media_type)
        assert state == "Valid"
        assert actions(report)[0]["digitalSourceType"] == VOCABULARY + "trainedAlgorithmicMedia"


# -- the child that signs ----------------------------------------------------------------------------


def test_what_signs_is_replaced_when_it_dies(decoder: Decoder, identity: Identity) -> None:
    (copy, *_) = copies(decoder)
    with Sealer(image_s=3) as sealer:
        sealer.seal(copy.content, copy.media_type, MADE, identity)
        first = sealer.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(NotSealed, match="longer than 3 s"):
            sealer.seal(copy.content, copy.media_type, MADE, identity)
        assert sealer.seal(copy.content, copy.media_type, MADE, identity)
        assert sealer.pid != first
        environment = Path(f"/proc/{sealer.pid}/environ").read_bytes()
        assert b"DATABASE" not in environment and b"SECRET" not in environment


def test_a_manifest_that_kills_what_reads_it_does_not_keep_its_image_from_being_signed(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = signed_by_provider(sealer, tmp_path)
    (copy, *_) = copies(decoder)
    ask, asked = sealing._ask, []

    def die_of_a_manifest(asks: IO[bytes], answers: IO[bytes], parts: tuple[bytes, ...]) -> bytes:
        asked.append(parts[-1])
        if parts[-1]:
            raise EOFError
        return ask(asks, answers, parts)

    monkeypatch.setattr(sealing, "_ask", die_of_a_manifest)
    sealed = sealer.seal(copy.content, copy.media_type, MADE, identity, original=original)
    assert asked == [original, b""]
    state, report = read(sealed, copy.media_type)
    assert state == "Valid"
    assert actions(report)[0]["digitalSourceType"] == VOCABULARY + "trainedAlgorithmicMedia"
    # A photo that nobody edited is nothing without where it came from.
    with pytest.raises(NotSealed, match="not delivered"):
        sealer.seal(copy.content, copy.media_type, Provenance(None, "x"), identity, original=original)


def test_bytes_that_are_no_image_are_not_signed(sealer: Sealer, identity: Identity) -> None:
    with pytest.raises(NotSealed, match="cannot be signed"):
        sealer.seal(b"<html>", "image/png", MADE, identity)
    assert sealer.seal(photo(), "image/png", MADE, identity)


# -- whose name --------------------------------------------------------------------------------------


def test_a_certificate_made_here_is_made_once_for_its_owner_alone_and_shows_no_key(tmp_path: Path) -> None:
    path = tmp_path / "signing" / "signing.pem"
    found: list[Identity] = []
    threads = [threading.Thread(target=lambda: found.append(signing.local(path))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.chain for each in found}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["signing.pem"]
    assert found[0].local and "untrusted" in found[0].name
    assert "PRIVATE" not in repr(found[0]) and "PRIVATE" not in str(found[0])


def test_a_certificate_made_here_is_made_anew_before_it_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signing.pem"
    monkeypatch.setattr(signing, "_LOCAL_DAYS", 29)
    soon = signing.local(path)
    monkeypatch.undo()
    renewed = signing.local(path)
    assert renewed.chain != soon.chain
    assert signing.local(path) == renewed


Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def authority(folder: Path, key: Key, *, days: int = 100) -> tuple[Path, Path, bytes]:
    """A team's certificate of its own authority: the chain, the key, and the authority as PEM."""
    root = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])

    def made(name: str, public: Any, issuer: str, ca: bool) -> x509.Certificate:
        usage = [not ca, *[False] * 4, ca, *[False] * 3]
        built = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=200))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.KeyUsage(*usage), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        )
        if not ca:
            purposes = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION])
            built = built.add_extension(purposes, False)
        return built.sign(root, hashes.SHA256())

    pem = serialization.Encoding.PEM
    top = made("An authority", root.public_key(), "An authority", True).public_bytes(pem)
    chain, secret = folder / "chain.pem", folder / "key.pem"
    leaf = made("Our shop", key.public_key(), "An authority", False)
    chain.write_bytes(leaf.public_bytes(pem) + top)
    secret.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret, top


@pytest.mark.parametrize("kind", ["es256", "es384", "ed25519", "ps256"])
def test_a_team_s_own_certificate_is_trusted_by_who_trusts_its_authority(
    decoder: Decoder, sealer: Sealer, tmp_path: Path, kind: str
) -> None:
    key: Key = {
        "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ps256": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    chain, secret, top = authority(tmp_path, key)
    identity = signing.own(chain, secret)
    assert (identity.algorithm, identity.name, identity.local) == (kind, "Our shop", False)
    trusting = json.dumps({**json.loads(OFFLINE), "trust": {"user_anchors": top.decode()}})
    for copy in copies(decoder):
        sealed = sealer.seal(copy.content, copy.media_type, MADE, identity)
        assert read(sealed, copy.media_type, trusting)[0] == "Trusted", copy.spec
        assert read(sealed, copy.media_type)[0] == "Valid"


def test_a_certificate_that_cannot_be_used_is_named_without_a_word_of_its_key(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain, secret, _ = authority(tmp_path, key)
    alone = tmp_path / "alone.pem"
    other = tmp_path / "other.pem"
    other.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    folder = tmp_path / "old"
    folder.mkdir()
    old_chain, old_secret, _ = authority(folder, key, days=-1)
    for this_chain, this_key, says in (
        (tmp_path / "nowhere.pem", secret, "cannot be read"),
        (chain, garbage, "not PEM"),
        (garbage, secret, "not PEM"),
        (chain, other, "does not belong"),
        (old_chain, old_secret, "ran out"),
        (alone, secret, "signs itself"),
    ):
        if this_chain == alone:
            alone.write_bytes(_self_signed(key))
        with pytest.raises(BadIdentity, match=says) as refused:
            signing.own(this_chain, this_key)
        assert "c2VjcmV0" not in str(refused.value)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "me")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
