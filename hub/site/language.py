"""The words of the mapping language as a JSON Schema, from the tables that the compiler itself goes by."""

from __future__ import annotations

from typing import Any

from hub.mapping.compile import REJECTS
from hub.mapping.functions import FUNCTIONS
from hub.mapping.leaves import BESIDE, HEADS
from hub.mapping.narrow import POLICIES as NARROW
from hub.mapping.spread import MORE
from hub.mapping.tables import GIVES
from hub.mapping.tables import POLICIES as UNKNOWN

Shape = dict[str, Any]
_TEXT: Shape = {"type": ["string", "number", "boolean"]}
_WHOLE: Shape = {"type": "integer", "minimum": 1}
_VALUE, _NODE, _LOOP, _WHEN = ({"$ref": f"#/$defs/{name}"} for name in ("value", "node", "loop", "condition"))
_VALUES: Shape = {"type": "array", "items": _VALUE, "minItems": 1}

SAID = {
    "from": "路径、=文字或 $名称 · a path, =text or $name",
    "first": "第一个有值的 · the first that is there",
    "join": "连接有值的各项，with 为分隔 · those that are there, `with` between them",
    "count": "该路径下的个数 · how many are at the path",
    "sum": "合计 · the total of everything at the path",
    "min": "最小值 · the least at the path",
    "max": "最大值 · the greatest at the path",
    "number": "循环内的序号 · position in the loop, from 1; ../ of the loop above",
    "running": "循环内的累计 · the total so far in this loop",
    "party": "站点中的一方，give 为取何值 · a party of the site; `give` says what of it",
    "spread": "长文字拆入多处 · long text over repeated places",
    "as": "函数，可为多个 · a function, or several one after the other",
    "map": "代码表 · a code table of schemas/codes/",
    "unknown": "表中没有的代码 · what becomes of a code that is not there",
    "default": "没有值时 · when there is nothing",
    "cut": "至多多少字符 · at most so many characters",
    "narrow": "目标放不下时 · what is done when the target cannot hold the value",
    "when": "条件 · only where this holds",
    "each": "循环 · once for everything at the path",
    "at": "只取第一个，路径相对于它 · relative to the first at the path, once",
    "choose": "第一个条件成立的分支 · the first branch whose `when` holds",
    "use": "引用片段 · a fragment, by its name",
    "split": "每一项生成一份 · one message for each item",
}
"""What an editor shows of a word."""
_REJECT = "来源允许而目标不允许、应退回发送方的 · what the target refuses and the sources allow: the sender is told"


def mapping() -> Shape:
    """A mapping file."""
    kinds = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "from": {**kinds, "description": "来源种类，或 名称: 种类 · a kind, or name: kind"},
            "to": {"type": "string", "description": "目标种类 · the kind that is made"},
            "reject": {"type": "array", "items": {"enum": list(REJECTS)}, "description": _REJECT},
            "document": {"$ref": "#/$defs/children", "description": "XML 文档 · the document from its root"},
            "message": {"$ref": "#/$defs/children", "description": "EDIFACT 报文 · groups and segments"},
            "fragments": {"type": "object", "additionalProperties": {"$ref": "#/$defs/branch"}},
            "split": _said("split", _LOOP),
        },
        "required": ["from", "to"],
        "oneOf": [{"required": ["document"]}, {"required": ["message"]}],
        "additionalProperties": False,
        "$defs": _parts(),
    }


def fragments() -> Shape:
    """A file of mappings/fragments/."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/branch"},
        "$defs": _parts(),
    }


def _said(name: str, shape: Shape) -> Shape:
    return {"description": SAID[name], "allOf": [shape]} if "$ref" in shape else {**shape, "description": SAID[name]}


def _parts() -> dict[str, Shape]:
    heads = {f"value-{head}": _head(head) for head in HEADS}
    is_value = {"anyOf": [{"required": [head]} for head in HEADS]}
    which = [{"if": {"required": [head]}, "then": {"$ref": f"#/$defs/value-{head}"}} for head in HEADS]
    several = {"if": {"type": "array"}, "then": {"items": _NODE, "minItems": 1}, "else": _TEXT}
    one = {"if": {"required": ["choose"]}, "then": _closed({"choose": _VALUES, **_options("when", "each")})}
    return {
        "condition": _condition(),
        "loop": _loop(),
        "function": _function(),
        "value": {
            "if": {"type": "object"},
            "then": {"if": is_value, "then": {"allOf": which}, "else": {**one, "else": False}},
            "else": _TEXT,
        },
        **heads,
        **_beside(),
        "children": {"type": "object", "additionalProperties": _NODE},
        "branch": {
            "type": "object",
            "properties": {
                **_options("each", "at", "when"),
                "choose": _said("choose", {"type": "array", "items": _NODE, "minItems": 1}),
                "use": _said("use", {"type": "string"}),
            },
            "additionalProperties": _NODE,
        },
        "node": {
            "if": {"type": "object"},
            "then": {"if": is_value, "then": {"allOf": which}, "else": {"$ref": "#/$defs/branch"}},
            "else": several,
        },
    }


def _closed(properties: dict[str, Shape], *required: str) -> Shape:
    shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, "required": list(required)} if required else shape


def _options(*names: str) -> dict[str, Shape]:
    return {name: {"$ref": f"#/$defs/{name}"} for name in names}


def _beside() -> dict[str, Shape]:
    """What may stand beside every value, or before a branch."""
    unknown = {"anyOf": [{"enum": list(UNKNOWN)}, {"type": "string", "pattern": "^="}]}
    narrow = {"enum": list(NARROW)}
    table: dict[str, Shape] = {"table": {"type": "string"}, "unknown": unknown, "at": _VALUE}
    words: dict[str, Shape] = {
        "as": {"anyOf": [{"$ref": "#/$defs/function"}, {"type": "array", "items": {"$ref": "#/$defs/function"}}]},
        "map": {"anyOf": [{"type": "string"}, _closed(table, "table")]},
        "unknown": unknown,
        "default": _VALUE,
        "cut": _WHOLE,
        "narrow": {"anyOf": [narrow, {"type": "array", "items": narrow}]},
        "when": _WHEN,
        "each": _LOOP,
        "at": _TEXT,
    }
    return {name: _said(name, shape) for name, shape in words.items()}


def _head(head: str) -> Shape:
    """A value that begins with this word."""
    heads: dict[str, Shape] = {
        "first": _VALUES,
        "join": {"anyOf": [_TEXT, _VALUES]},
        "number": {"type": "string", "pattern": r"^(loop|(\.\./)+)$"},
        **dict.fromkeys(("running", "party", "spread"), _VALUE),
    }
    beside: dict[str, Shape] = {
        "with": _TEXT,
        "give": {"enum": list(GIVES)},
        "width": _WHOLE,
        "times": _WHOLE,
        "more": {"const": MORE},
    }
    own = {name: beside[name] for name in BESIDE.get(head, ()) if name in beside}
    stepped = _options("as", "map", "unknown", "default", "cut", "narrow", "when", "each")
    return _closed({head: _said(head, heads.get(head, _TEXT)), **own, **stepped}, head)


def _condition() -> Shape:
    several = {"type": "array", "items": _WHEN, "minItems": 1}
    words: dict[str, Shape] = {"all": several, "any": several, "not": _WHEN}
    return {
        "if": {"type": "object"},
        "then": {**_closed(words), "minProperties": 1, "maxProperties": 1},
        "else": {"type": "string"},
        "examples": ["path", "not path", "path = 'x'", "path in ['a', 'b']", "path > 5"],
    }


def _loop() -> Shape:
    by_key = {"type": "object", "additionalProperties": _VALUE, "minProperties": 1}
    words: dict[str, Shape] = {"from": _TEXT, "where": by_key, "by": _TEXT, "sort": _TEXT}
    return {"if": {"type": "object"}, "then": _closed(words, "from"), "else": _TEXT}


def _function() -> Shape:
    """A word, or a word with its argument."""
    alone = [name for name in FUNCTIONS if _needs_nothing(name)]
    given = {**_closed({name: {} for name in FUNCTIONS}), "minProperties": 1, "maxProperties": 1}
    return {"if": {"type": "object"}, "then": given, "else": {"enum": alone}}


def _needs_nothing(name: str) -> bool:
    try:
        FUNCTIONS[name].make(None)
    except ValueError:
        return False
    return True
