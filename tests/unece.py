"""A directory printed as the UNECE publishes it: the layouts of the 1990s and of the 2000s, zips within a zip.

The words (descriptions, functions, notes) are made up: an importer must get past them, and nothing more.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Iterator
from textwrap import wrap

from hub.edifact.tables import Entry, Facts, Line

FILLER = "Text which says M 1 or C 99 of 1001 and, in its second line, 10 things more about what is meant by it."
MEANT = [" " * 14 + line for line in wrap(FILLER, 50)]
RULE = "-" * 70


class Printer:
    """One directory on paper. `old`: the 1990s, where brackets are drawn and rows have no numbers."""

    def __init__(self, facts: Facts, old: bool, seed: int = 0) -> None:
        self.facts, self.old, self.chance = facts, old, random.Random(seed)

    def archive(self) -> bytes:
        """dNNx.zip with a zip for each part."""
        name = self.facts.release.replace(".", "").lower()
        extension = name[1:].upper()
        messages = {f"{type}_D.{extension}": self.message(type) for type in self.facts.messages}
        parts = {
            f"edmd{extension}.zip": messages,
            "EDSD.ZIP": {f"EDSD.{extension}": self.segments()},
            "EDCD.ZIP": {f"EDCD.{extension}": self.composites()},
            "eded.zip": {f"EDED.{extension}": self.elements(codes=False)},
            "uncl.zip": {f"UNCL.{extension}": self.elements(codes=True)},
        }
        return zipped({f"{name}/{part}": zipped(texts) for part, texts in parts.items()})

    def bytes(self, text: str) -> bytes:
        return text.replace("\n", "\r\n").encode("cp437" if self.old else "utf-8", "replace")

    def mark(self, width: int = 1) -> str:
        return self.chance.choice([" ", " ", " ", "*", "+", "|", "X", "#"]).ljust(width)

    def page(self, title: str, blocks: Iterator[str]) -> bytes:
        rule = "─" * 60 if self.old else RULE
        return self.bytes(
            f"    {title}\n\n    Change marks: a plus sign (+), X\n\n" + "".join(f"{rule}\n\n{b}\n" for b in blocks)
        )

    # ---- messages

    def message(self, type: str) -> bytes:
        entry = self.facts.messages[type]
        head = [
            " " * 30 + "UN/EDIFACT",
            " " * 15 + "UNITED NATIONS STANDARD MESSAGE (UNSM)",
            *(line.center(70) for line in wrap(entry.name, 50)),
            *(["-" * 60] if self.old else [RULE, ""]),
            *(
                f"{'':40}{name:<13}: {value}"
                for name, value in (
                    ("Message Type", type),
                    ("Version", "D"),
                    ("Release", self.facts.release.removeprefix("D.")),
                    ("Contr. Agency", "UN"),
                    ("Revision", entry.revision),
                )
            ),
            "4.3    Message structure",
            "4.3.1  Segment table",
            "0.    INTRODUCTION",
            FILLER,
        ]
        table = [
            "4.3.1  Segment table",
            "",
            "Pos    Tag Name                            S   R",
            "",
            "HEADER SECTION",
            "",
        ]
        behind = ["", "4.3.2  Branching diagram", "", "UNH    BGM   M 1", "M 1"] if self.old else []
        return self.bytes("\n\n".join(head) + "\n" + "\n".join([*table, *self.rows(entry), *behind]) + "\n")

    def rows(self, entry: Entry) -> Iterator[str]:
        bar, end, begin, dash = ("│", "┘", "┐", "─") if self.old else ("|", "+", "+", "-")
        below = [*(line.depth for line in entry.lines[1:]), 1]
        for number, (line, next_depth) in enumerate(zip(entry.lines, below, strict=True), 1):
            most = f"{line.max}"
            position = "" if self.old else f"{number * 10:04}"
            group = line.id.startswith("SG") and line.id[2:].isdigit()
            if group:
                title = f"{dash * 4} Segment {'G' if self.old else 'g'}roup {line.id[2:]}  {dash * 18}"
                head = f"{position}{self.mark(3):>5}{title} {status(line)}   {most}"
                yield "" if next_depth == 1 else " " * 70 + bar * (line.depth - 1)
                yield f"{head}{dash * 12}{begin}{bar * (line.depth - 1)}"
                continue
            ended = max(line.depth - max(next_depth, 1), 0) if line.depth > 1 else 0
            name = self.facts.segments[line.id].name.capitalize() if line.id in self.facts.segments else "Service"
            head = f"{position}{self.mark(2):>3} {line.id} "
            tail = f"{dash * 12}{end * ended}" if ended else " " * 12
            drawn = tail + bar * (line.depth - 1 - ended)
            if len(name) > 30:
                yield head + name[:25]
                yield f"{'':12}{name[25:]} {status(line)}   {most}{drawn}"
            else:
                yield f"{head}{name:<42} {status(line)}   {most}{drawn}"

    # ---- the other parts

    def segments(self) -> bytes:
        return self.page("EDSD", (self.segment(tag, entry) for tag, entry in self.facts.segments.items()))

    def segment(self, tag: str, entry: Entry) -> str:
        lines = [f"{self.mark(7)}{tag}  {entry.name}", "", *self.said("Function"), ""]
        for number, line in enumerate(entry.lines, 1):
            composite = self.facts.composites.get(line.id)
            name = (composite.name if composite else self.facts.elements[line.id][0]).upper()
            lines += self.position(f"{number * 10:03}{self.mark(2):>4}{line.id} ", name, line, composite is None)
            lines += [f"       {part.id}  Part of it      M  an..9" for part in (composite.lines if composite else ())]
            lines.append("")
        return "\n".join(lines)

    def composites(self) -> bytes:
        return self.page("EDCD", (self.composite(id, entry) for id, entry in self.facts.composites.items()))

    def composite(self, id: str, entry: Entry) -> str:
        lines = [f"{self.mark(5)}{id}  {entry.name}", "", *self.said("Desc"), ""]
        for number, line in enumerate(entry.lines, 1):
            head = "       " if self.old else f"{number * 10:03}{self.mark(2):>4}"
            lines += self.position(f"{head}{line.id}  ", self.facts.elements[line.id][0], line, True, repeats=False)
        return "\n".join(lines)

    def position(self, head: str, name: str, line: Line, simple: bool, repeats: bool = True) -> list[str]:
        picture = (line.format or self.facts.elements[line.id][1]) if simple else ""
        most = "" if not repeats or (self.old and line.max == 1) else f"{line.max:>5}"
        tail = f"{status(line)}{most} {picture}".rstrip()
        if len(name) > 42:
            return [f"{head}{name[:38]}", f"{'':12}{name[38:]:<42} {tail}"]
        return [f"{head}{name:<42} {tail}"]

    def elements(self, codes: bool) -> bytes:
        chosen = self.facts.codes if codes else self.facts.elements
        known = [id for id in chosen if id in self.facts.elements]
        return self.page("UNCL" if codes else "EDED", (self.element(id, codes) for id in known))

    def element(self, id: str, codes: bool) -> str:
        name, picture = self.facts.elements[id]
        usage = "" if self.old else " [B]"
        lines = [*self.name(f"{self.mark(5)}{id}  ", name + usage, 7 if self.old else 11), "", *self.said("Desc"), ""]
        lines += [f"     Repr: {picture}" if picture else "", ""]
        if self.chance.random() < 0.3:
            lines += ["     Note:", "           1 This is a note which is not a code.", ""]
        for code, label in self.facts.codes[id].items() if codes else ():
            head = f"{self.mark(5)}{code:>5} " if self.old else f"{self.mark(5)}{code:<5} "
            lines += self.name(head, label, 11)
            lines += MEANT
            lines += [] if self.old else [""]
        return "\n".join(lines)

    def name(self, head: str, name: str, indent: int) -> list[str]:
        first, *more = wrap(name, 58, break_long_words=False, break_on_hyphens=False) or [""]
        return [head + first, *(" " * indent + line for line in more)]

    def said(self, word: str) -> list[str]:
        first, *more = wrap(FILLER, 55)
        return [f"{'':5}{word}: {first}", *(f"{'':11}{line}" for line in more)]


def status(line: Line) -> str:
    return "M" if line.required else "C"


def zipped(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return whole.getvalue()
