"""The reference of the port's standards as one page of HTML that stands alone: no script, no font, no picture from
anywhere. Whatever is shown was written by somebody, so all of it is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

from hub.catalogue import text
from hub.standards import identifiers
from hub.standards.codelist import CodeList, Entry
from hub.standards.sheets import Document, Message, Row, Sheet, Texts, Type

_STYLE = Path(__file__).with_name("doc.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Reference:
    """All that the page shows. `fingerprint` is the site's; `day` is the one that the page is of."""

    title: Texts
    day: date
    fingerprint: str
    documents: Sequence[Document] = ()
    messages: Sequence[Message] = ()
    types: Sequence[Type] = ()
    lists: Sequence[CodeList] = ()
    guides: Sequence[Sheet] = ()


def page(reference: Reference, lang: str) -> str:
    """The page in `lang` (zh, en)."""
    return "\n".join(_Page(reference, lang).lines()) + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    reference: Reference
    lang: str

    def lines(self) -> Iterator[str]:
        title = f"{self.of(self.reference.title)} · {self.word('title')}"
        yield f'<!DOCTYPE html>\n<html lang="{self.lang}">\n<head>\n<meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f"<title>{escape(title)}</title>\n<style>\n{_STYLE.read_text('utf-8')}</style>\n</head>\n<body>"
        yield from self.index()
        day, mark = self.reference.day.isoformat(), self.reference.fingerprint[:12]
        yield f"<main>\n<header><h1>{escape(title)}</h1>"
        yield f"<p>{escape(text('doc.lead', self.lang, day=day, fingerprint=mark))}</p></header>"
        for name, parts in self.sections():
            yield f'<section id="{name}"><h2>{self.word(name)}</h2>'
            yield f'<p class="lead">{self.word(f"{name}_lead")}</p>'
            yield from parts
            yield "</section>"
        yield "</main>\n</body>\n</html>"

    def sections(self) -> Iterator[tuple[str, Iterator[str]]]:
        """(name, what is in it) of each section that has something."""
        shown = self.reference
        yield from (
            (name, parts)
            for name, held, parts in (
                ("documents", shown.documents, self.documents()),
                ("messages", shown.messages, self.messages()),
                ("types", shown.types, self.types()),
                ("identifiers", identifiers.NAMES, self.identifiers()),
                ("codes", shown.lists, self.codes()),
                ("guides", shown.guides, self.guides()),
            )
            if held
        )

    # ---- words

    def of(self, texts: Texts) -> str:
        """The words in the page's language, else in the other."""
        zh, en = texts
        return (zh or en) if self.lang == "zh" else (en or zh)

    def word(self, key: str) -> str:
        return escape(text(f"doc.{key}", self.lang))

    # ---- parts

    def index(self) -> Iterator[str]:
        entries = {
            "documents": [(f"document-{d.kind}", self.of(d.said) or d.kind) for d in self.reference.documents],
            "codes": [(f"codes-{c.name}", self.of((c.zh, c.en))) for c in self.reference.lists],
            "guides": [(f"guide-{g.name}", g.name) for g in self.reference.guides],
        }
        yield f'<nav aria-label="{self.word("index")}"><p>{self.word("index")}</p><ul>'
        for name, _ in self.sections():
            inner = "".join(f"<li>{_link(to, said)}</li>" for to, said in entries.get(name, []))
            yield f"<li>{_link(name, text(f'doc.{name}', self.lang))}{f'<ul>{inner}</ul>' if inner else ''}</li>"
        yield "</ul></nav>"

    def documents(self) -> Iterator[str]:
        for one in self.reference.documents:
            yield f'<article id="{_anchor("document", one.kind)}"><h3>{escape(self.of(one.said) or one.kind)}</h3>'
            facts = (self.of(one.system), one.kind, one.namespace, one.file)
            yield f'<p class="facts">{" · ".join(f"<span>{escape(fact)}</span>" for fact in facts)}</p>'
            rows = ((self.element(row), _occurs(row), self.kind(row), escape(self.of(row.said))) for row in one.rows)
            yield from self.table("tree", ("name", "occurs", "type", "meaning"), rows)
            yield "</article>"

    def element(self, row: Row) -> str:
        choice = f' <span class="choice">{self.word("choice")}</span>' if row.choice else ""
        kind = "attribute" if row.name.startswith("@") else "element" if row.kind else "group"
        return f'<span class="{kind} d{min(row.depth, 9)}"><code>{escape(row.name)}</code>{choice}</span>'

    def kind(self, row: Row) -> str:
        if row.identifier:
            one = identifiers.IDENTIFIERS[row.identifier]
            return _link(f"identifier-{row.identifier}", self.of((one.zh, one.en)))
        if row.shared and any(row.kind == one.name for one in self.reference.types):
            return _link(f"type-{row.kind}", row.kind)
        return f"<span>{escape(row.kind)}</span>{_facets(row.facets)}" if row.kind else _facets(row.facets)

    def messages(self) -> Iterator[str]:
        rows = (
            (f"<code>{escape(m.type)}</code>", escape(m.release), escape(m.kind), escape(self.of(m.system)), _code(m))
            for m in self.reference.messages
        )
        yield from self.table("plain", ("message", "release", "kind", "system", "becomes"), rows)

    def types(self) -> Iterator[str]:
        rows = (
            (
                f'<code id="{_anchor("type", one.name)}">{escape(one.name)}</code>',
                escape(self.of(one.said)),
                f"<span>{escape(one.base)}</span>{_facets(one.facets)}",
            )
            for one in sorted(self.reference.types, key=lambda one: one.name)
        )
        yield from self.table("plain", ("name", "meaning", "type"), rows)

    def identifiers(self) -> Iterator[str]:
        lists = {codes.name: codes for codes in self.reference.lists}
        rows = (
            (
                f'<span id="{_anchor("identifier", one.name)}">{escape(self.of((one.zh, one.en)))}</span>'
                f'<br><code class="quiet">{escape(one.name)}</code>',
                f"<code>{escape(one.example)}</code>",
                f'<code class="pattern">{escape(one.pattern)}</code>',
                self.word("digits" if one.digits else "form")
                if one.codes not in lists
                else _link(f"codes-{one.codes}", self.of((lists[one.codes].zh, lists[one.codes].en))),
                escape(one.source),
            )
            for one in identifiers.IDENTIFIERS.values()
        )
        yield from self.table("plain", ("identifier", "example", "pattern", "checked", "source"), rows)

    def codes(self) -> Iterator[str]:
        for codes in self.reference.lists:
            title = self.of((codes.zh, codes.en))
            yield f'<article id="{_anchor("codes", codes.name)}"><h3>{escape(title)}</h3>'
            bound = "; ".join(_binding(b.elements, b.code_list, b.agency) for b in codes.edifact)
            facts = [codes.source, text("doc.entries", self.lang, count=len(codes.entries)), bound]
            facts.append(text("doc.refuses" if codes.refuses else "doc.incomplete", self.lang))
            yield f'<p class="facts">{" · ".join(f"<span>{escape(fact)}</span>" for fact in facts if fact)}</p>'
            dated = any(entry.since or entry.until for entry in codes.entries)
            heads = ("code", "meaning", "from", "until") if dated else ("code", "meaning")
            yield "<details open>" if len(codes.entries) <= 40 else "<details>"
            yield f"<summary>{self.word('show')}</summary>"
            yield from self.table("plain codes", heads, (self.entry(entry, dated) for entry in codes.entries))
            yield "</details></article>"

    def entry(self, entry: Entry, dated: bool) -> tuple[str, ...]:
        gone = "" if entry.holds(self.reference.day) else ' class="gone"'
        cells = (f"<code{gone}>{escape(entry.code)}</code>", escape(self.of((entry.zh, entry.en))))
        return (*cells, str(entry.since or ""), str(entry.until or "")) if dated else cells

    def guides(self) -> Iterator[str]:
        for guide in self.reference.guides:
            yield f'<article id="{_anchor("guide", guide.name)}"><h3>{escape(guide.name)}</h3>'
            yield f'<p class="facts"><span>{escape(guide.about)}</span> · <span>{escape(guide.file)}</span></p>'
            rows = ((f"<code>{escape(at)}</code>", escape(what), escape(why)) for at, what, why in guide.rules)
            yield from self.table("plain", ("where", "rule", "why"), rows)
            yield "</article>"

    def table(self, kind: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
        """Cells of `rows` are HTML."""
        cells = "".join(f'<th scope="col">{self.word(f"head_{head}")}</th>' for head in heads)
        yield f'<div class="wide"><table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>'
        for row in rows:
            yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        yield "</tbody></table></div>"


def _anchor(kind: str, name: str) -> str:
    return escape(f"{kind}-{name}".replace(" ", "-"))


def _link(to: str, said: str) -> str:
    return f'<a href="#{escape(to.replace(" ", "-"))}">{escape(said)}</a>'


def _facets(facets: Iterable[str]) -> str:
    return "".join(f'<br><code class="pattern">{escape(facet)}</code>' for facet in facets)


def _occurs(row: Row) -> str:
    need = "must" if row.occurs.startswith("1") and not row.choice else "may"
    return f'<span class="{need}">{escape(row.occurs)}</span>'


def _code(message: Message) -> str:
    return _link(f"document-{message.becomes}", message.becomes) if message.becomes else ""


def _binding(elements: Sequence[str], code_list: str, agency: str) -> str:
    named = f" (1131 = {code_list}, 3055 = {agency})" if code_list or agency else ""
    return f"UN/EDIFACT {', '.join(elements)}{named}"
