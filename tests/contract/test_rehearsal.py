"""Our adapters against services that play their part and go wrong: the suite that any author runs."""

import base64
import json
import struct
import zlib

import pytest

from packshot.providers.automatic1111 import Automatic1111
from packshot.providers.comfyui import ComfyUI
from packshot.providers.compatible import Compatible
from packshot.providers.contract import ImageRequest
from packshot.providers.flux import Flux
from packshot.providers.midjourney import Midjourney
from packshot.providers.openai import OpenAI
from packshot.providers.rehearsal import CANARY, REHEARSALS, Asked, Part, Reply
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


def midjourney(asked: Asked) -> Reply:
    if asked.path == "/mj/submit/imagine":
        return Reply.of({"code": 1, "description": "Success", "result": "14001929738841620"})
    if asked.path.startswith("/mj/task/"):
        link = f"{asked.base}/attachments/1/2/grid.png?ex=1&is=0&hm=a"
        return Reply.of(
            {"id": "14001929738841620", "action": "IMAGINE", "status": "SUCCESS", "imageUrl": link}
        )
    return Reply(200, PICTURE, {"content-type": "image/png"})


def own_endpoint(asked: Asked) -> Reply:
    assert asked.path == "/v1/images/generations"
    return Reply.of({"created": 1, "data": [{"b64_json": base64.b64encode(PICTURE).decode()}]})


def automatic1111(asked: Asked) -> Reply:
    assert asked.path == "/sdapi/v1/txt2img"
    return Reply.of({"images": [base64.b64encode(PICTURE).decode()], "info": json.dumps({"seed": 7})})


def comfyui(asked: Asked) -> Reply:
    if asked.path == "/prompt":
        return Reply.of({"prompt_id": json.loads(asked.body)["prompt_id"], "number": 1, "node_errors": {}})
    if asked.path.startswith("/history/"):
        image = {"filename": "packshot_00001_.png", "subfolder": "", "type": "output"}
        done = {"outputs": {"9": {"images": [image]}}, "status": {"status_str": "success"}}
        return Reply.of({asked.path.removeprefix("/history/"): done})
    assert asked.path.startswith("/view?")
    return Reply(200, PICTURE, {"content-type": "image/png"})


PARTS = {
    "openai": Part(OpenAI, ImageRequest("gpt-image-2", PROMPT), openai),
    "flux": Part(Flux, ImageRequest("flux-2-pro", PROMPT), flux),
    "stability": Part(Stability, ImageRequest("stable-image-core", PROMPT), stability),
    "midjourney": Part(Midjourney, ImageRequest("midjourney-8.1", PROMPT), midjourney),
    "own endpoint": Part(Compatible, ImageRequest("default", PROMPT), own_endpoint),
    "own endpoint with a price": Part(
        Compatible, ImageRequest("default", PROMPT), own_endpoint, values={"OWN_PRICE": "0.003"}
    ),
    "automatic1111": Part(Automatic1111, ImageRequest("txt2img", PROMPT), automatic1111, key=f"ada:{CANARY}"),
    "comfyui": Part(
        ComfyUI,
        ImageRequest("text-to-image", PROMPT),
        comfyui,
        values={"COMFYUI_CHECKPOINT": "sd_xl_base_1.0.safetensors"},
    ),
}


@pytest.mark.parametrize("rehearse", REHEARSALS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("name", PARTS)
def test_the_adapter_keeps_its_part(name, rehearse):
    rehearse(PARTS[name])
