"""When the target cannot hold a value: `narrow:` says what is done about it, and it is never done silently.

reject         a finding that keeps the message from being made (the default)
truncate       the beginning, with a warning
transliterate  letters without their marks where the character set lacks them (ISO 9735 levels), with a warning
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from hub.mapping.plan import Leaf, Run, bad, like, word
from hub.mapping.rules import Listing, Rule, Spot

POLICIES = ("reject", "truncate", "transliterate")
_FORM = re.compile(r"(an?|n)(?:\.\.)?([0-9]+)")
_SIGNS = str.maketrans("", "", "-.,")
_CHARSET = "latin-1"  # what is written where nothing is agreed
_LETTERS = {
    "ß": "ss",
    "ẞ": "SS",
    "Æ": "AE",
    "æ": "ae",
    "Ø": "O",
    "ø": "o",
    "Œ": "OE",
    "œ": "oe",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "Ð": "D",
    "ð": "d",
    "Þ": "TH",
    "þ": "th",
    "ı": "i",
    "–": "-",
    "—": "-",
    "‐": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "€": "EUR",
    "№": "No",
}
"""What has no decomposition in Unicode."""

Fit = Callable[[Run, str], str]


def policies(rule: Rule | None) -> tuple[str, ...]:
    """What `narrow:` says: one word or a list. Raises DeclarationError."""
    if rule is None:
        return ("reject",)
    rules = rule.items if isinstance(rule, Listing) else (rule,)
    for one in rules:
        if word(one) not in POLICIES:
            raise bad(one.spot, word(one), like(word(one), POLICIES))
    return tuple(word(one) for one in rules)


def longest(form: str) -> tuple[int, bool]:
    """(characters that a format such as an..35 holds, 0 when it says nothing; True for numbers)."""
    found = _FORM.fullmatch(form)
    return (int(found[2]), found[1] == "n") if found else (0, False)


def fit(policy: tuple[str, ...], most: int, numeric: bool, spot: Spot, target: str) -> Fit:
    """What a value longer than `most` becomes. Sign and decimal mark of a number do not count (ISO 9735-1, 10.1)."""
    truncates = "truncate" in policy and not numeric

    def fitted(run: Run, value: str) -> str:
        if numeric and len(value.translate(_SIGNS)) <= most:
            return value
        if not truncates:
            return run.tell("mapping.too_long", spot, target, value[:most] + "…")
        run.tell("mapping.truncated", spot, target, value[most:][:80], "warning")
        return value[:most].rstrip()

    return fitted


def transliterated(leaf: Leaf, spot: Spot, target: str) -> Leaf:
    """`leaf` in the receiver's character set, which is `context["charset"]`, a Python codec."""

    def value(run: Run) -> str:
        text = leaf(run)
        if text.isascii():
            return text
        codec = run.context.get("charset") or _CHARSET
        made = "".join(_letter(char, codec) for char in text)
        if made == text:
            return text
        if "\0" in made:
            return run.tell("mapping.not_in_charset", spot, target, text)
        run.tell("mapping.transliterated", spot, target, text, "warning")
        return made

    return value


def _letter(char: str, codec: str) -> str:
    """The character, or what stands for it; NUL when nothing does."""
    for tried in (char, _plain(char), _LETTERS.get(char, "")):
        if tried and _held(tried, codec):
            return tried
    return "\0"


def _plain(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))


def _held(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
