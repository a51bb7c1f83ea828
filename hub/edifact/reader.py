"""Streaming reader: bytes in chunks -> Envelope, RawMessage …, Trailer, for every interchange of a file.

Memory is bounded by the largest message. What is wrong is a Finding on the part it belongs to, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hub.edifact.envelope import Interchange
from hub.edifact.model import Envelope, RawMessage, Separators, Trailer
from hub.edifact.separators import BLANK, CHARSETS, advice, fits
from hub.edifact.tokenizer import Limits, Source, limit
from hub.finding import Finding, Place

__all__ = ["CHARSETS", "Limits", "fits", "read"]

_BLOCK = 65536
_JUNK = "edifact.no_interchange"


def read(
    chunks: Iterable[bytes], limits: Limits | None = None, charset: str | None = None
) -> Iterator[Envelope | RawMessage | Trailer]:
    """Every interchange of the data: one Envelope, its messages, one Trailer; repeated.

    `charset` is a Python codec agreed with the partner; it wins over UNB 0001. Data without any UNB gives only a
    Trailer that says so. Past a limit a Trailer with the finding ends the reading. Never raises for what the data
    holds; LookupError when `charset` is not a codec.
    """
    if charset is not None:
        "".encode(charset)
    limits = limits or Limits()
    source = Source(_blocks(chunks))
    source.fill()
    if source.text.startswith("\xef\xbb\xbf"):
        source.skip(3)
    separators: Separators | None = None
    trailer: Trailer | None = None
    while True:
        found = _find_header(source, separators, limits)
        if trailer:
            late = tuple(replace(f, code="edifact.data_after_unz") for f in found.findings if f.code == _JUNK)
            rest = tuple(f for f in found.findings if f.code != _JUNK)
            if late and found.separators is None:
                rest = ()
            yield replace(trailer, findings=trailer.findings + late + (() if found.separators else rest))
            found.findings[:] = rest
        if found.separators is None:
            if trailer is None:
                findings = found.findings or [Finding("edifact.empty", Place(offset=0))]
                yield Trailer("", 0, source.base, tuple(findings))
            return
        separators = found.separators
        reading = Interchange(source, separators, limits, charset, found.findings)
        trailer = None
        for part in reading.parts():
            if isinstance(part, Trailer):
                trailer = part
            else:
                yield part
        if trailer is None or reading.stopped:
            if trailer:
                yield trailer
            return


@dataclass(slots=True)
class _Header:
    separators: Separators | None
    findings: list[Finding]


def _find_header(source: Source, previous: Separators | None, limits: Limits) -> _Header:
    """Go to the next UNB (its first byte becomes text[0]) by way of UNA. No separators when the data ends first."""
    findings: list[Finding] = []
    start = source.base
    pattern = _header_pattern(previous)
    junk: Finding | None = None
    while True:
        stripped = source.text.lstrip(BLANK)
        blank = source.text[: len(source.text) - len(stripped)]
        if "\0" in blank and not any(f.code == "edifact.nul" for f in findings):
            findings.append(Finding("edifact.nul", Place(offset=source.base + blank.index("\0"))))
        source.skip(len(blank))
        if len(source.text) < 128 and source.fill():
            continue
        if not source.text:
            break
        match = pattern.match(source.text)
        if match:
            break
        if junk is None:
            junk = Finding(_JUNK, Place(offset=source.base), found=source.shown(), expected="UNA, UNB")
            findings.append(junk)
        match = pattern.search(source.text)
        if match:
            source.skip(match.start())
            match = pattern.match(source.text)
            break
        # The last bytes are kept: a header may begin there.
        source.skip(max(0, len(source.text) - 64))
        if source.base - start > limits.interchange:
            findings.append(limit("interchange", limits.interchange, source.base))
            source.skip(len(source.text))
            return _Header(None, findings)
        if not source.fill():
            source.skip(len(source.text))
            break
    if not source.text:
        return _Header(None, findings)
    separators = Separators()
    if source.text.startswith("UNA"):
        separators, wrong = advice(source.text[3:9], source.base)
        findings += wrong
        head = source.text[9:]
        source.skip(9 + len(head) - len(head.lstrip(BLANK)))
    elif previous and source.text[3] == previous.element != separators.element:
        # Some senders write UNA before the first of several interchanges only.
        separators = previous
    return _Header(separators, findings)


@lru_cache(maxsize=64)
def _header_pattern(previous: Separators | None) -> re.Pattern[str]:
    signs = {"+", previous.element} if previous else {"+"}
    either = "|".join(re.escape(sign) for sign in sorted(signs))
    return re.compile(rf"UNA(?s:.{{6}})[ \t\r\n]{{0,40}}UNB|UNB(?:{either})[A-Za-z]{{4}}[^A-Za-z0-9]|UNB(?:{either})")


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of about 64 KiB whatever the size of the chunks: neither many tiny joins nor one huge split."""
    small: list[bytes] = []
    size = 0
    for chunk in chunks:
        if len(chunk) >= _BLOCK and not small:
            for at in range(0, len(chunk), _BLOCK):
                yield bytes(chunk[at : at + _BLOCK])
            continue
        small.append(chunk)
        size += len(chunk)
        if size >= _BLOCK:
            joined = b"".join(small)
            small, size = [], 0
            for at in range(0, len(joined), _BLOCK):
                yield joined[at : at + _BLOCK]
    if small:
        yield b"".join(small)
