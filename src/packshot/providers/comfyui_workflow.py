"""ComfyUI's workflows in API format, with placeholders where a request fills something in.

A placeholder stands in a text of a node's inputs, such as `{{prompt}}`. A text that is nothing else becomes
the value itself, a number where it is one. Each text is read once, so words of a prompt are never read again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from packshot.kernel.errors import BadInput
from packshot.providers.contract import JsonValue

Graph = Mapping[str, JsonValue]  # by the number of a node

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_0-9]+)\s*\}\}")
IMAGES = ("image", "image_2", "image_3", "image_4")
KNOWN = frozenset(
    {
        "prompt",
        "negative_prompt",
        "seed",
        "width",
        "height",
        "images",
        "steps",
        "cfg",
        "sampler",
        "checkpoint",
        *IMAGES,
    }
)
_MOST_BYTES = 1024 * 1024
_DEEPEST = 20

# Text to picture with any checkpoint, as ComfyUI shows it at first start.
PLAIN: Graph = {
    "checkpoint": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "{{checkpoint}}"}},
    "size": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": "{{width}}", "height": "{{height}}", "batch_size": "{{images}}"},
    },
    "words": {"class_type": "CLIPTextEncode", "inputs": {"text": "{{prompt}}", "clip": ["checkpoint", 1]}},
    "not": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "{{negative_prompt}}", "clip": ["checkpoint", 1]},
    },
    "sampler": {
        "class_type": "KSampler",
        "inputs": {
            "seed": "{{seed}}",
            "steps": "{{steps}}",
            "cfg": "{{cfg}}",
            "sampler_name": "{{sampler}}",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["checkpoint", 0],
            "positive": ["words", 0],
            "negative": ["not", 0],
            "latent_image": ["size", 0],
        },
    },
    "pixels": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["checkpoint", 2]}},
    "picture": {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "packshot", "images": ["pixels", 0]},
    },
}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph, and what it wants filled in."""

    graph: Graph
    wants: frozenset[str]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        return cls(graph, frozenset(_named(graph)))

    @classmethod
    def read(cls, path: str) -> Self:
        """The workflow in a file. Raises BadInput, in words for whoever set its path."""
        field = "COMFYUI_WORKFLOW"
        try:
            with Path(path).open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise BadInput(f"{field}: {path} is larger than 1 MB.", field=field)
            document = json.loads(content)
        except OSError as error:
            raise BadInput(f"{field}: {path} cannot be read: {error.strerror}.", field=field) from None
        except (ValueError, RecursionError):
            raise BadInput(f"{field}: {path} is not JSON.", field=field) from None
        problem = _problem(document)
        if problem:
            raise BadInput(f"{field}: {path} {problem}", field=field)
        return cls.of(document)

    @property
    def pictures(self) -> int:
        """How many pictures it goes by."""
        return sum(name in self.wants for name in IMAGES)

    def filled(self, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """The graph with each placeholder's value in its place."""
        return {number: _filled(node, values) for number, node in self.graph.items()}


def _problem(document: object) -> str:
    """What keeps `document` from being a workflow that a request can be filled into."""
    if not isinstance(document, dict) or not document:
        return "holds no workflow."
    if "nodes" in document and "links" in document:
        return "is a workflow as the editor keeps it: export it in API format."
    for number, node in document.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            return f"is not in API format: node {number[:40]!r} has no class_type."
        if not isinstance(node.get("inputs", {}), dict):
            return f"is not in API format: the inputs of node {number[:40]!r} are no list of names."
    try:
        wants = set(_named(document))
    except RecursionError:
        return "is nested too deep."
    unknown = wants - KNOWN
    if unknown:
        return f"has placeholders that are not known: {', '.join(sorted(unknown)[:5])}."
    given = [name in wants for name in IMAGES]
    if given != sorted(given, reverse=True):
        return "numbers its pictures with a gap: image, image_2, image_3, image_4."
    if not wants & {"prompt", "image"}:
        return "has neither {{prompt}} nor {{image}}: a request could change nothing in it."
    if not {"width", "height"} <= wants and "image" not in wants:
        return "fixes its size: write {{width}} and {{height}} where it says them."
    return ""


def _named(value: JsonValue, depth: int = 0) -> list[str]:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        return _PLACEHOLDER.findall(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for each in inner for name in _named(each, depth + 1)]


def _filled(value: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    if isinstance(value, dict):
        return {name: _filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    alone = _PLACEHOLDER.fullmatch(value.strip())
    if alone:
        return values[alone[1]]
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), value)
