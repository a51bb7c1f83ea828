"""Every sentence that a person reads, in English and Chinese, from one file: hub/catalogue.toml."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from hub.finding import Finding
from hub.plain import plain

LANGUAGES = ("en", "zh")


@cache
def catalogue() -> dict[str, Any]:
    """The whole catalogue: `finding` by code, `text` by key."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def language(asked: str | None = None) -> str:
    """`asked` › $EPORT_LANG › $LC_ALL › $LANG; Chinese when it begins with zh, else English."""
    value = asked or os.environ.get("EPORT_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if value.lower().startswith("zh") else "en"


class _Holes(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def text(key: str, lang: str, **args: object) -> str:
    """The sentence `key` of table `text` with its holes filled. KeyError when the catalogue lacks it."""
    sentence: str = catalogue()["text"][key][lang]
    return sentence.format_map(_Holes({k: str(v) for k, v in args.items()}))


def describe(finding: Finding, lang: str) -> tuple[str, str]:
    """(what is wrong, what to do) for one finding."""
    entry = catalogue()["finding"][finding.code]
    said = {**finding.args, "found": finding.found, "expected": finding.expected}
    holes = _Holes({name: plain(value) for name, value in said.items()})
    what = entry[lang].format_map(holes)
    if "by" in finding.args:  # a guide has decided (hub.standards.tolerance)
        decided = text(f"guide.{finding.args['as']}", lang, **holes)
        what += f" [{decided}]"
    return what, entry[f"remedy_{lang}"].format_map(holes).strip()


def check(name: str, lang: str) -> tuple[str, str]:
    """(title, what to do when it is not ok) of one check of `eport doctor`."""
    entry = catalogue()["check"][name]
    return entry[lang], entry[f"remedy_{lang}"]


def contrl_code(finding: Finding) -> str | None:
    """Data element 0085 for this finding, or None where ISO 9735-4 has no code."""
    code: str | None = catalogue()["finding"][finding.code].get("contrl")
    return code


def acts(code: str) -> str:
    """Who has to do something about this finding: sender, hub, agency, integrator or operator."""
    who: str = catalogue()["finding"][code]["acts"]
    return who


def where(finding: Finding) -> str:
    """The place in one short line that a person can follow, the same in both languages."""
    place = finding.place
    if place.file and place.line is not None:
        return plain(f"{place.file}:{place.line}:{place.column or 1}")
    parts = [place.path] if place.path else []
    if place.message:
        parts.append(f"UNH {place.message}")
    if place.tag:
        parts.append(f"{place.tag}({place.segment})" if place.segment else place.tag)
    if place.element:
        parts.append(f"{place.element}.{place.component}" if place.component else str(place.element))
    if place.offset is not None:
        parts += [f"{place.line}:{place.column or 1}"] if place.line else []
        parts.append(f"@{place.offset}")
    return plain(" ".join(parts))


def page() -> str:
    """The closed list of findings as a Markdown page in both languages (docs/findings.md)."""
    lines = [
        "# Findings · 校验结果代码",
        "",
        "Made from `hub/catalogue.toml` by `python -m hub.catalogue`. `{found}` and `{expected}` stand for what was",
        "found and what was expected; CONTRL is data element 0085 (ISO 9735-4) where the standard has a code.",
        "",
    ]
    for code, entry in sorted(catalogue()["finding"].items()):
        contrl = f" · CONTRL {entry['contrl']}" if "contrl" in entry else ""
        lines += [f"### {code}", f"{entry['severity']} · {entry['acts']}{contrl}", ""]
        lines += [f"- {entry['en']} → {entry['remedy_en']}", f"- {entry['zh']} → {entry['remedy_zh']}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
