"""The segment table of a message type as UNECE prints it: rows, and groups that are drawn as brackets on the right.

    0070   RFF Reference                                M   1                |
    0080       ---- Segment group 3  ------------------ C   99---------------+|
    0090   LOC Place/location identification            M   1----------------++

The layout of the 1990s has box drawings, and no numbers before the tags. A bracket's end closes a group; how many
brackets a row is within says the same once more, and where the two differ the message is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hub.edifact.tables import Entry, Line
from hub.finding import Finding, Place

_MARKS = r"[*+#|X\- ]*"
_BARS, _ENDS = "|¦│║", "+┘┴┤╯╛"
_TAIL = rf"(?:[-─ ]*)([{_BARS}{_ENDS}┐┬╮ ]*)$"
_SEGMENT = re.compile(rf" *(?:\d{{4,5}})?{_MARKS}\b([A-Z]{{3}}) +(.*?) +([MC]) +(\d+){_TAIL}")
_GROUP = re.compile(rf".*?[-─]{{2,}} *Segment +group +(\d+) *[-─]* *([MC]) +(\d+){_TAIL}", re.I)
_BEGUN = re.compile(rf" *(?:\d{{4,5}} *{_MARKS}|{_MARKS})(?:[A-Z]{{3}} \S|[-─]{{2,}} *(?i:segment +group))")
_TITLE = re.compile(r"^.*segment +table.*$", re.I | re.M)
_FIELD = re.compile(r"^.*?\b(Message Type|Release|Revision) *: *(\S+)", re.I | re.M)
_STANDARD = re.compile(
    r"STANDARD +MESSAGE *\((?:UNSM|[A-Z ]+)\)\s*\n(.*?)(?=\n *[-─]{5}|\n[^\n]*Message +Type)", re.S | re.I
)
_BEHIND = re.compile(r" *\d(?:\.\d+)+\.? +\S|.*branching +diagram", re.I)

Row = tuple[int, str, str, bool, int, str]
"""Of a table: number in the file, tag or "", group number or "", status, maximum, what is drawn behind."""


def is_message(text: str) -> bool:
    """True for the text of a message type."""
    return bool(_TITLE.search(text)) and "UNH" in text


def heading(text: str) -> dict[str, str]:
    """What the first page says: `message type`, `release`, `revision`, `name`; what is not there is left out."""
    first = text[:6000]
    said = {found[1].lower(): found[2] for found in reversed(list(_FIELD.finditer(first)))}
    title = _STANDARD.search(first)
    return said | ({"name": " ".join(title[1].split())} if title else {})


def read(name: str, text: str, findings: list[Finding]) -> Entry | None:
    """The message type in `text`; None, with findings that name the line, where the table cannot be believed."""
    said = heading(text)
    before = len(findings)
    lines = list(_nested(name, _rows(text), findings))
    if not lines and len(findings) == before:
        findings.append(Finding("standards.unread", Place(file=name, line=1, column=1), "segment table", "no rows"))
    if len(findings) > before:
        return None
    return Entry(said.get("name", ""), tuple(lines), said.get("revision", ""))


def _rows(text: str) -> Iterator[Row]:
    """The rows behind the last title that has any, up to UNT."""
    titles = [title.end() for title in _TITLE.finditer(text)]
    for start in reversed(titles):
        rows = list(_until(text[start:].split("\n"), text.count("\n", 0, start)))
        if rows:
            yield from rows
            return


def _until(lines: list[str], number: int) -> Iterator[Row]:
    begun = ""
    for at, line in enumerate(lines, number + 1):
        if _BEHIND.match(line):
            return
        begun = f"{begun.rstrip(' |¦│+')} {line.strip()}" if begun and not _BEGUN.match(line) else line
        row = _row(begun, at)
        if row is not None:
            yield row
            if row[1] == "UNT":
                return
        begun = begun if row is None and _BEGUN.match(begun) else ""


def _row(line: str, at: int) -> Row | None:
    group = _GROUP.match(line)
    if group:
        return at, "", group[1], group[2].upper() == "M", int(group[3]), group[4]
    segment = _SEGMENT.match(line)
    if segment:
        return at, segment[1], "", segment[3] == "M", int(segment[4]), segment[5]
    return None


def _nested(name: str, rows: Iterator[Row], findings: list[Finding]) -> Iterator[Line]:
    open_: list[str] = []
    for at, tag, group, required, most, drawn in rows:
        brackets = [sign for sign in drawn if sign != " "]
        if group:
            open_.append(group)
        if len(brackets) != len(open_):
            said = f"{tag or f'segment group {group}'} is within {len(brackets)} groups, {len(open_)} are open"
            findings.append(Finding("standards.unread", Place(file=name, line=at, column=1), said, "segment table"))
            return
        yield Line(len(open_) + (not group), f"SG{group}" if group else tag, required, most)
        if tag:
            ended = sum(sign in _ENDS for sign in brackets)
            del open_[len(open_) - ended :]
    if open_:
        place = Place(file=name, line=1, column=1)
        findings.append(Finding("standards.unread", place, f"segment group {open_[-1]} never ends", "segment table"))
