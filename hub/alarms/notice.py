"""What a notice says: everything that one alarm has to tell at one time, in both languages, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hub.catalogue import LANGUAGES, describe, text
from hub.finding import Finding

LINES = 20
"""How many rows the text shows; the JSON has all."""
WIDTH = 300

Kind = Literal["raised", "repeated", "rested", "trial"]


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell. `since` is when it began to wait."""

    kind: Kind
    subject: str
    code: str
    detail: str
    owner: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """What goes out at one time."""

    port: str
    alarm: str
    severity: str
    at: datetime
    news: Sequence[News]

    @property
    def title(self) -> str:
        """One line without anything that a partner wrote."""
        codes = ", ".join(dict.fromkeys(f"{one.code}{_MARK[one.kind]}" for one in self.news))
        return f"[eport {self.port}] {self.severity} {self.alarm}: {codes[:120]} ({len(self.news)})"

    def text(self, lang: str) -> str:
        """For a person."""
        lines = [text("alarm.title", lang, port=self.port, alarm=self.alarm, severity=self.severity), ""]
        for one in self.news[:LINES]:
            what, remedy = _said(one, lang)
            kind, since = text(f"alarm.{one.kind}", lang), f"{one.since:%Y-%m-%d %H:%M:%SZ}"
            lines += [f"{kind} {since}  {one.subject}  {one.owner}  [{one.code}]", f"  {what}"]
            lines += [f"  → {remedy}"] if one.kind != "rested" else []
        if len(self.news) > LINES:
            lines.append(text("alarm.more", lang, count=len(self.news) - LINES))
        return "\n".join([*lines, "", text("alarm.look", lang)]) + "\n"

    def both(self) -> str:
        return "\n".join(self.text(lang) for lang in LANGUAGES)

    def json(self) -> bytes:
        """For a program, on one line, UTF-8."""
        rows = [self._row(one) for one in self.news]
        head = {"port": self.port, "alarm": self.alarm, "severity": self.severity, "at": self.at.isoformat()}
        said = {lang: self.text(lang) for lang in LANGUAGES}
        return json.dumps(head | {"title": self.title, "news": rows, "text": said}, ensure_ascii=False).encode()

    def _row(self, one: News) -> dict[str, Any]:
        row = {"kind": one.kind, "subject": one.subject, "code": one.code, "detail": one.detail, "owner": one.owner}
        for lang in LANGUAGES:
            row[lang], row[f"remedy_{lang}"] = _said(one, lang)
        return row | {"since": one.since.isoformat()}


_MARK = {"raised": "", "repeated": " ↻", "rested": " ✓", "trial": ""}


def _said(one: News, lang: str) -> tuple[str, str]:
    """What waits and what to do, cut where a partner wrote a lot."""
    what, remedy = describe(Finding(one.code, found=one.detail), lang)
    return what[:WIDTH], remedy[:WIDTH]
