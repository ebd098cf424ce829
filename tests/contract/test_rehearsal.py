"""Our adapters against services that play their part and go wrong: the suite that any author runs."""

import base64
import struct
import zlib

import pytest

from packshot.providers.contract import ImageRequest
from packshot.providers.flux import Flux
from packshot.providers.openai import OpenAI
from packshot.providers.rehearsal import REHEARSALS, Asked, Part, Reply
from packshot.providers.stability import Stability


def png(width: int = 1024, height: int = 1024) -> bytes:
    """A whole picture, grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURE = png()
PROMPT = "A linen apron on a wooden table"


def openai(asked: Asked) -> Reply:
    assert asked.path == "/v1/images/generations"
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"text_tokens": 20, "image_tokens": 0},
        "output_tokens": 272,
    }
    return Reply.of(
        {"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}], "usage": usage}
    )


def flux(asked: Asked) -> Reply:
    if asked.method == "POST":
        order = {"id": "task-1", "polling_url": f"{asked.base}/v1/get_result?id=task-1", "cost": 3.0}
        return Reply.of(order)
    if asked.path.startswith("/v1/get_result"):
        return Reply.of(
            {
                "id": "task-1",
                "status": "Ready",
                "result": {"sample": f"{asked.base}/delivery/1.png", "seed": 7},
            }
        )
    return Reply(200, PICTURE, {"content-type": "image/png"})


def stability(asked: Asked) -> Reply:
    assert asked.headers["content-type"].startswith("multipart/form-data")
    if "json" in asked.headers["accept"]:
        return Reply.of({"image": base64.b64encode(PICTURE).decode(), "finish_reason": "SUCCESS", "seed": 7})
    return Reply(200, PICTURE, {"content-type": "image/png", "finish-reason": "SUCCESS", "seed": "7"})


PARTS = {
    "openai": Part(OpenAI, ImageRequest("gpt-image-2", PROMPT), openai),
    "flux": Part(Flux, ImageRequest("flux-2-pro", PROMPT), flux),
    "stability": Part(Stability, ImageRequest("stable-image-core", PROMPT), stability),
}


@pytest.mark.parametrize("rehearse", REHEARSALS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", PARTS)
def test_the_adapter_keeps_its_part(name, rehearse):
    rehearse(PARTS[name])
