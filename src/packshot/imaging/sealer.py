"""The child that signs: reads manifests of others, writes ours, and decodes no pixel.

Run by `sealing.Sealer`; speaks length-prefixed messages over stdin and stdout until stdin closes.
"""

import io
import json
import os
import resource
import struct
import sys
from importlib.metadata import version
from typing import IO, Any

import c2pa

_LENGTHS = struct.Struct(">IIIII")
# No address is called, whatever a manifest names; no thumbnail, which would be larger than most copies; and
# what was signed is read back once, by us, with the same rules.
_SETTINGS = json.dumps(
    {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
    }
)
# A provider's manifest that is larger than this is no word about an image.
_MOST_ADDED_BYTES = 1024 * 1024


class _Unusable(Exception):
    pass


def main() -> None:
    memory_bytes, image_s = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):  # no dump, no file
        resource.setrlimit(kind, (0, 0))
    while head := requests.read(_LENGTHS.size):
        order, chain, key, content, original = (
            _exactly(requests, length) for length in _LENGTHS.unpack(head)
        )
        _grant_cpu(image_s)
        report: dict[str, Any]
        try:
            sealed = _seal(content, original, chain, key, **json.loads(order))
            report = {"bytes": len(sealed)}
        except (c2pa.C2paError, _Unusable) as problem:
            sealed, report = b"", {"bad": str(problem).splitlines()[0][:300] if str(problem) else "unknown"}
        encoded = json.dumps(report).encode()
        for part in (len(encoded).to_bytes(4), encoded, sealed):
            answers.write(part)
        answers.flush()


def _seal(
    content: bytes,
    original: bytes,
    chain: bytes,
    key: bytes,
    *,
    media_type: str,
    original_type: str | None,
    source: str | None,
    tool: str,
    algorithm: str,
) -> bytes:
    parent = (original_type, original) if original_type else None
    info = c2pa.C2paSignerInfo(algorithm, chain, key, None)
    try:
        return _signed(content, media_type, _actions(source, tool, opened=parent is not None), info, parent)
    except (c2pa.C2paError, _Unusable):
        if parent is None or source is None:
            raise
    # A manifest that cannot be read, or is far too large, is left out; what made the image is still said.
    return _signed(content, media_type, _actions(source, tool, opened=False), info, None)


def _actions(source: str | None, tool: str, *, opened: bool) -> list[dict[str, Any]]:
    first: dict[str, Any] = {"action": "c2pa.opened" if opened else "c2pa.created"}
    if source is not None:
        first |= {"digitalSourceType": source, "softwareAgent": {"name": tool}}
    if opened:
        first["parameters"] = {"ingredientIds": ["original"]}
    return [first, {"action": "c2pa.resized"}]


def _signed(
    content: bytes,
    media_type: str,
    actions: list[dict[str, Any]],
    info: c2pa.C2paSignerInfo,
    parent: tuple[str, bytes] | None,
) -> bytes:
    manifest = {
        "claim_generator_info": [{"name": "Packshot", "version": version("packshot")}],
        "format": media_type,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    written = io.BytesIO()
    with (
        c2pa.Context.from_json(_SETTINGS) as context,
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(json.dumps(manifest), context=context) as builder,
    ):
        if parent is not None:
            ingredient = {"relationship": "parentOf", "label": "original", "instance_id": "original"}
            builder.add_ingredient(ingredient, parent[0], io.BytesIO(parent[1]))
        builder.sign(signer, media_type, io.BytesIO(content), written)
    sealed = written.getvalue()
    if len(sealed) - len(content) > _MOST_ADDED_BYTES:
        raise _Unusable("the manifest of the original is too large")
    _must_be_valid(sealed, media_type)
    return sealed


def _must_be_valid(sealed: bytes, media_type: str) -> None:
    with (
        c2pa.Context.from_json(_SETTINGS) as context,
        c2pa.Reader(media_type, io.BytesIO(sealed), context=context) as reader,
    ):
        if reader.get_validation_state() in ("Valid", "Trusted"):
            return
        codes = [each.get("code", "") for each in json.loads(reader.json()).get("validation_status", [])]
    raise _Unusable(f"its signature does not hold ({', '.join(codes)})")


def _grant_cpu(image_s: float) -> None:
    """CPU time for one more image, counted from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + image_s) + 1, hard))


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise SystemExit(0)  # the parent is gone
    return content


if __name__ == "__main__":
    main()
