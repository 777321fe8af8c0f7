"""Writes openai/shapes.json: what openai-python's types say of the objects that a server answers with, as JSON schemas.

Needs the package `openai`, which the other steps do not; run it by itself. Only what constrains a value is kept.
"""

import json
import pathlib

import openai
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

KEPT = {"$ref", "type", "properties", "required", "anyOf", "enum", "const", "items", "additionalProperties"}


def shortened(schema):
    """The schema of one value, without what is said for people."""
    result = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in result:
        result["properties"] = {name: shortened(value) for name, value in result["properties"].items()}
    if "anyOf" in result:
        result["anyOf"] = [shortened(value) for value in result["anyOf"]]
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = shortened(result[key])
    if "$ref" in result:
        result["$ref"] = result["$ref"].removeprefix("#/$defs/")
    return result


shapes = {"openai": openai.__version__, "objects": {}, "definitions": {}}
for model, name in [
    (ChatCompletion, "chat.completion"),
    (ChatCompletionChunk, "chat.completion.chunk"),
    (Completion, "text_completion"),
]:
    schema = model.model_json_schema(ref_template="#/$defs/" + name + "/{model}")
    shapes["objects"][name] = shortened(schema)
    for inner, definition in schema.get("$defs", {}).items():
        shapes["definitions"][f"{name}/{inner}"] = shortened(definition)

folder = pathlib.Path(__file__).parent.parent / "openai"
folder.mkdir(exist_ok=True)
with open(folder / "shapes.json", "w") as file:
    json.dump(shapes, file, indent=1, sort_keys=True)
    file.write("\n")
