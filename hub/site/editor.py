"""What an editor is told of the files that an integrator writes: JSON Schemas, made from the models that read them.

`python -m hub.site.editor` writes them to schemas/editor/. The first line of each file names its own:

    # yaml-language-server: $schema=../../schemas/editor/mapping.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

import adapters
from hub.mapping.codes import Table
from hub.site import language
from hub.site.guidefile import GuideFile
from hub.site.model import Endpoint, Routes, System
from hub.standards.codelist import ListFile

FOLDER = "schemas/editor"
FILES = {
    "routes": "routes.yaml",
    "system": "mappings/*/system.yaml",
    "mapping": "mappings/*/*--to--*.yaml",
    "fragments": "mappings/fragments/*.yaml",
    "guide": "schemas/*/*.guide.yaml",
    "list": "schemas/codes/*.list.yaml",
    "codes": "schemas/codes/*.yaml",
}
"""Name of a schema -> the files that are of it; the first that fits counts."""
_DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
_NOISE = ("title", "default")


def name_of(file: PurePath) -> str:
    """The schema of a file, named from the site's folder; "" for one that has none."""
    return next((name for name, pattern in FILES.items() if file.match(pattern)), "")


def line(file: PurePath) -> str:
    """The first line of a file, named from the site's folder, that has a schema."""
    way = os.path.relpath(f"{FOLDER}/{name_of(file)}.json", file.parent).replace(os.sep, "/")
    return f"# yaml-language-server: $schema={way}\n"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its name."""
    models: dict[str, type[BaseModel]] = {"system": System, "guide": GuideFile, "list": ListFile, "codes": Table}
    made = {name: _of(model) for name, model in models.items()}
    return {"routes": _routes(), **made, "mapping": language.mapping(), "fragments": language.fragments()}


def _of(model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = _quiet(model.model_json_schema(by_alias=True))
    return {**_DRAFT, **schema}


def _routes() -> dict[str, Any]:
    """An endpoint's options are those of its adapter."""
    schema = _of(Routes)
    endpoint = schema["$defs"][Endpoint.__name__]
    endpoint["properties"]["adapter"]["examples"] = list(adapters.ADAPTERS)
    endpoint["allOf"] = []
    for name in adapters.ADAPTERS:
        options = _quiet(adapters.load(name).Options.model_json_schema(by_alias=True))
        for inner, shape in options.pop("$defs", {}).items():
            schema["$defs"][inner] = shape
        schema["$defs"][f"options-{name}"] = options
        chosen = {"properties": {"adapter": {"const": name}}}
        given = {"properties": {"options": {"$ref": f"#/$defs/options-{name}"}}}
        endpoint["allOf"].append({"if": chosen, "then": given})
    return schema


def _quiet(part: Any, names: bool = False) -> Any:
    """Without what repeats the name of a key, and without defaults, which an editor would write into the file.
    `names`: the keys of `part` are names of the files."""
    if isinstance(part, dict):
        kept = {key: inner for key, inner in part.items() if names or key not in _NOISE}
        return {key: _quiet(inner, key in ("properties", "$defs") and not names) for key, inner in kept.items()}
    return [_quiet(inner) for inner in part] if isinstance(part, list) else part


def write(folder: Path) -> None:
    """All schemas as files of `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(text(schema), "utf-8")


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    write(Path(*sys.argv[1:2] or [FOLDER]))
