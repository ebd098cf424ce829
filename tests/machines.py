"""Small machines of a team's own, over real HTTP: what adapters to them are tested against.

They do what the real ones do as far as an adapter can see: they are strict about what they are sent, draw
pictures of the size that was asked for, and keep a queue. What goes wrong is switched on by a test.
"""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pyvips

from tests.forms import read


def picture(width_px: int, height_px: int, shade: int = 0) -> bytes:
    """A PNG of that size; another `shade` is another picture."""
    image = pyvips.Image.black(width_px, height_px, bands=3).linear(1, [shade % 256, 90, 60]).cast("uchar")
    content: bytes = image.copy(interpretation="srgb").write_to_buffer(".png")
    return content


@dataclass
class Reply:
    status: int
    body: bytes
    media_type: str = "application/json"

    @classmethod
    def of(cls, status: int, document: object) -> "Reply":
        return cls(status, json.dumps(document).encode())


class Refusal(Exception):
    def __init__(self, status: int, document: object) -> None:
        super().__init__(status)
        self.reply = Reply.of(status, document)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Machine:
    """A server on this machine. `cut_next` hangs up on so many requests after it has done their work."""

    url: str = ""
    seen: list[Request] = field(default_factory=list)
    cut_next: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> Reply:
        raise NotImplementedError

    def asked(self, path: str) -> list[Request]:
        return [each for each in self.seen if each.path == path]


@contextmanager
def running(machine: Machine) -> Iterator[Machine]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length", 0))
            request = Request(
                self.command,
                parts.path,
                {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()},
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            with machine.lock:
                machine.seen.append(request)
                try:
                    reply = machine.answer(request)
                except Refusal as refusal:
                    reply = refusal.reply
                cut = machine.cut_next > 0 and request.method == "POST"
                machine.cut_next -= cut
            if cut:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("content-type", reply.media_type)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def do_GET(self) -> None:
            self._any()

        def do_POST(self) -> None:
            self._any()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        server.daemon_threads = True
        machine.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield machine
        finally:
            server.shutdown()
            thread.join()


# -- an endpoint that speaks OpenAI's Images API -------------------------------------------------------


@dataclass
class OpenAIEndpoint(Machine):
    """Takes the four fields that all of them take, and no other."""

    key: str = ""
    models: tuple[str, ...] = ("sdxl", "flux-schnell")
    links: bool = False
    response_format: bool = False  # whether the field is known at all

    def answer(self, request: Request) -> Reply:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, {"error": {"message": "Incorrect API key provided", "type": "auth"}})
        if request.path == "/v1/models":
            return Reply.of(200, {"object": "list", "data": [{"id": each} for each in self.models]})
        if request.path.startswith("/generated/"):
            width, height, shade = (int(part) for part in request.path.split("/")[-1].split("-"))
            return Reply(200, picture(width, height, shade), "image/png")
        if request.path != "/v1/images/generations" or request.method != "POST":
            return Reply(404, b"404 page not found", "text/plain")
        asked = request.json()
        known = {"model", "prompt", "n", "size"} | ({"response_format"} if self.response_format else set())
        unknown = asked.keys() - known
        if unknown:
            raise Refusal(400, {"error": {"message": f"Unknown parameter: {sorted(unknown)}"}})
        if asked.get("model", self.models[0]) not in self.models:
            raise Refusal(404, {"error": {"message": f"The model {asked['model']!r} does not exist"}})
        width, height = (int(side) for side in asked["size"].split("x"))
        links = self.links and asked.get("response_format") != "b64_json"
        data = [
            {"url": f"{self.url}/generated/{width}-{height}-{shade}"}
            if links
            else {"b64_json": base64.b64encode(picture(width, height, shade)).decode()}
            for shade in range(asked["n"])
        ]
        return Reply.of(200, {"created": int(time.time()), "data": data})


# -- AUTOMATIC1111 ---------------------------------------------------------------------------------


_TYPES = {
    "prompt": str, "negative_prompt": str, "width": int, "height": int, "steps": int, "cfg_scale": float,
    "seed": int, "batch_size": int, "n_iter": int, "send_images": bool, "save_images": bool,
    "do_not_save_grid": bool, "sampler_name": str, "denoising_strength": float, "resize_mode": int,
    "init_images": list,
}  # fmt: skip


@dataclass
class WebUI(Machine):
    """AUTOMATIC1111 with --api. It refuses fields of the wrong type, unknown samplers, and odd sizes."""

    auth: str = ""
    api: bool = True
    samplers: tuple[str, ...] = ("DPM++ 2M", "Euler a")
    most_pixels: int = 1280 * 1280
    contact_sheet: bool = False  # an old version that does not know `do_not_save_grid`

    def answer(self, request: Request) -> Reply:
        if self.auth:
            expected = f"Basic {base64.b64encode(self.auth.encode()).decode()}"
            if request.headers.get("authorization") != expected:
                raise Refusal(401, {"detail": "Incorrect username or password"})
        if not self.api or not request.path.startswith("/sdapi/v1/"):
            raise Refusal(404, {"detail": "Not Found"})
        kind = request.path.removeprefix("/sdapi/v1/")
        if kind == "sd-models":
            return Reply.of(200, [{"title": "sd_xl_base_1.0.safetensors"}])
        if kind not in ("txt2img", "img2img"):
            raise Refusal(404, {"detail": "Not Found"})
        asked = request.json()
        for name, value in asked.items():
            wanted = _TYPES.get(name)
            if wanted is None or not isinstance(value, (int, float) if wanted is float else wanted):
                fault = {"loc": ["body", name], "msg": "value is not valid", "type": "type_error"}
                raise Refusal(422, {"detail": [fault]})
        if kind == "img2img" and not asked.get("init_images"):
            raise Refusal(404, {"detail": "Init image not found"})
        for given in asked.get("init_images", ()):
            pyvips.Image.new_from_buffer(base64.b64decode(given, validate=True), "").avg()
        if asked.get("sampler_name", self.samplers[0]) not in self.samplers:
            raise Refusal(404, {"detail": "Sampler not found"})
        width, height = asked["width"], asked["height"]
        if width % 8 or height % 8:
            raise Refusal(500, {"error": "AssertionError", "detail": "", "errors": "size is not of eights"})
        if width * height > self.most_pixels:
            raise Refusal(
                500,
                {"error": "OutOfMemoryError", "detail": "", "body": "", "errors": "CUDA out of memory."},
            )
        seed = asked["seed"] if asked["seed"] >= 0 else 424242
        count = asked["batch_size"] * asked["n_iter"]
        drawn = [picture(width, height, seed + place) for place in range(count)]
        if count > 1 and (self.contact_sheet or not asked.get("do_not_save_grid")):
            drawn.insert(0, picture(2 * width, 2 * height))
        images = [base64.b64encode(each).decode() for each in drawn]
        info = json.dumps({"seed": seed, "all_seeds": [seed + place for place in range(count)]})
        return Reply.of(200, {"images": images, "parameters": asked, "info": info})


# -- ComfyUI -----------------------------------------------------------------------------------------


@dataclass
class Comfy(Machine):
    """A queue, its history, and the nodes of the plain workflow and of one that goes by a picture."""

    checkpoints: tuple[str, ...] = ("sd_xl_base_1.0.safetensors",)
    key: str = ""
    own_numbers: bool = False  # an old version that does not let a caller choose
    works: bool = True  # off: what is queued stays so
    fails: list[Any] = field(default_factory=list)  # the messages of the next job's failure
    uploads: dict[str, bytes] = field(default_factory=dict)
    queue: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def answer(self, request: Request) -> Reply:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            raise Refusal(401, {"error": "unauthorized"})
        match request.method, request.path.split("/")[1]:
            case "POST", "prompt":
                return self._queue(request.json())
            case "POST", "upload":
                return self._upload(request)
            case "GET", "history":
                self._work()
                job = request.path.split("/")[2]
                return Reply.of(200, {job: self.history[job]} if job in self.history else {})
            case "GET", "queue":
                pending = [
                    [number, job, graph, {}, []] for number, (job, graph) in enumerate(self.queue.items())
                ]
                return Reply.of(200, {"queue_running": pending[:1], "queue_pending": pending[1:]})
            case "GET", "view":
                content = self.files.get("/".join(request.query[name] for name in ("subfolder", "filename")))
                if content is None or request.query["type"] != "output":
                    return Reply(404, b"", "text/plain")
                return Reply(200, content, "image/png")
            case "GET", "system_stats":
                return Reply.of(200, {"system": {"comfyui_version": "0.3.64"}})
        return Reply(404, b"404: Not Found", "text/plain")

    def restart(self) -> None:
        """All that is queued or done is forgotten, as ComfyUI does."""
        self.queue.clear()
        self.history.clear()

    def _queue(self, asked: Any) -> Reply:
        graph = asked["prompt"]
        errors = {}
        for number, node in graph.items():
            wrong = self._wrong(node["class_type"], node["inputs"])
            if wrong:
                fault = {"type": "value_not_in_list", "message": "Value not in list", "details": wrong}
                errors[number] = {"errors": [fault], "class_type": node["class_type"]}
        if errors:
            error = {
                "type": "prompt_outputs_failed_validation",
                "message": "Prompt outputs failed validation",
            }
            raise Refusal(400, {"error": error, "node_errors": errors})
        job = str(uuid4()) if self.own_numbers else str(asked.get("prompt_id") or uuid4())
        self.queue[job] = graph
        return Reply.of(200, {"prompt_id": job, "number": len(self.queue), "node_errors": {}})

    def _wrong(self, kind: str, inputs: dict[str, Any]) -> str:
        match kind:
            case "CheckpointLoaderSimple":
                if inputs["ckpt_name"] not in self.checkpoints:
                    return f"ckpt_name: {inputs['ckpt_name']!r} not in {list(self.checkpoints)}"
            case "KSampler":
                if type(inputs["seed"]) is not int or type(inputs["steps"]) is not int:
                    return "seed and steps are numbers"
                if not isinstance(inputs["cfg"], float) or inputs["sampler_name"] not in (
                    "euler",
                    "dpmpp_2m",
                ):
                    return f"sampler_name: {inputs['sampler_name']!r} not in ['euler', 'dpmpp_2m']"
            case "EmptyLatentImage":
                if not all(type(inputs[name]) is int for name in ("width", "height", "batch_size")):
                    return "width, height and batch_size are numbers"
            case "LoadImage":
                if inputs["image"] not in self.uploads:
                    return f"image: {inputs['image']!r} is not there"
            case "CLIPTextEncode":
                if not isinstance(inputs["text"], str):
                    return "text is a text"
        return ""

    def _work(self) -> None:
        if not self.works or not self.queue:
            return
        job = next(iter(self.queue))
        graph = self.queue.pop(job)
        if self.fails:
            messages = [["execution_start", {}], *self.fails]
            self.fails = []
            status = {"status_str": "error", "completed": False, "messages": messages}
            self.history[job] = {"prompt": [1, job, graph, {}, []], "outputs": {}, "status": status}
            return
        latent = next((n["inputs"] for n in graph.values() if n["class_type"] == "EmptyLatentImage"), None)
        loaded = next((n["inputs"] for n in graph.values() if n["class_type"] == "LoadImage"), None)
        seed = next((n["inputs"]["seed"] for n in graph.values() if n["class_type"] == "KSampler"), 0)
        if latent:
            sizes = [(latent["width"], latent["height"])] * latent["batch_size"]
        else:
            image = pyvips.Image.new_from_buffer(self.uploads[loaded["image"]], "")
            sizes = [(image.width, image.height)]
        images = []
        for place, (width, height) in enumerate(sizes):
            name = f"packshot_{len(self.files):05}_.png"
            self.files[f"/{name}"] = picture(width, height, seed + place)
            images.append({"filename": name, "subfolder": "", "type": "output"})
        preview = {"filename": "preview.png", "subfolder": "", "type": "temp"}
        self.history[job] = {
            "prompt": [1, job, graph, {}, []],
            "outputs": {"1": {"images": [preview]}, "9": {"images": images}},
            "status": {"status_str": "success", "completed": True, "messages": []},
        }

    def _upload(self, request: Request) -> Reply:
        parts: dict[str, Any] = dict(read(request.body, request.headers["content-type"]))
        image, folder = parts["image"], parts["subfolder"]
        self.uploads[f"{folder}/{image.filename}"] = image.content
        return Reply.of(200, {"name": image.filename, "subfolder": folder, "type": parts["type"]})
