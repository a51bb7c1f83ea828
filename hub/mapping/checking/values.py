"""What one value of a mapping can be: worked out from what the standards say of where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hub.mapping.checking.book import Book
from hub.mapping.checking.conditions import Place, Where, tested, under
from hub.mapping.checking.domain import Domain, narrowed, texts
from hub.mapping.checking.possible import Possible, stepped
from hub.mapping.checking.sides import locate
from hub.mapping.leaves import HEADS, choices
from hub.mapping.numbers import maybe
from hub.mapping.plan import Here, word
from hub.mapping.rules import Branch, Listing, Rule, Text

_COUNT = Domain("integer", low=maybe("0"), high=maybe("2000000"), decimals=0, digits=7)
_CONTEXT = {"now": Domain("date-time")}


def possible(rule: Rule, here: Here, where: Where, book: Book) -> Possible:
    """What a value, which has been compiled before, can be."""
    if isinstance(rule, Text):
        return _plain(rule, here, where, book)
    if isinstance(rule, Listing):
        return Possible(Domain("any"), "?")
    options = dict(rule.entries)
    where = under(options.get("when"), here, where, book)
    if "choose" in options:
        made = _chosen(options["choose"], here, where, book)
    else:
        made = _made(options, here, where, book)
    if "when" in options:
        made = replace(made, gap=made.gap or _condition(options["when"]), places=None)
    return made


def _condition(rule: Rule) -> str:
    return f"when: {rule.value}" if isinstance(rule, Text) else "when"


def _made(options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    head = next(name for name in options if name in HEADS)
    made = _HEADS[head](options[head], options, here, where, book)
    rule = options.get("as")
    for one in () if rule is None else rule.items if isinstance(rule, Listing) else (rule,):
        made = stepped(made, one)
    if "map" in options:
        made = _mapped(made, options, book)
    if "default" in options:
        other = possible(options["default"], here, where, book)
        if not made.gap:
            book.tell("mapping.idle", options["default"].spot, "default", word_of(options[head]), "warning")
        made = made.or_else(other)
    if "cut" in options:
        made = replace(made, domain=narrowed(made.domain, int(word(options["cut"]))))
    return made


def word_of(rule: Rule) -> str:
    """A value in a word."""
    return rule.value if isinstance(rule, Text) else "value"


# ---- where it comes from


def _plain(rule: Text, here: Here, where: Where, book: Book) -> Possible:
    if rule.value.startswith("="):
        literal = rule.value[1:]
        return Possible(texts(literal) if literal else texts(), "" if literal else "=", places=frozenset())
    if rule.value.startswith("$"):
        return Possible(_CONTEXT.get(rule.value[1:], Domain("any")), places=frozenset())
    place = locate(rule.value, here, where.there)
    tested(place, rule.spot, book)
    domain = place.domain or Domain("any")
    at = place.key, place.steps
    allowed = where.allowed(at)
    if allowed is not None and place.domain is not None:
        domain = texts(*(allowed - {""}))
    gap = place.gap
    if at in where.gone:
        book.tell("mapping.idle", rule.spot, rule.value, f"not {rule.value}", "warning")
        gap = rule.value
    return Possible(domain, gap, place.many, frozenset((at,)))


def _from(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    made = possible(rule, here, where, book)
    return made


def _first(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    items = rule.items if isinstance(rule, Listing) else (rule,)
    made = possible(items[0], here, where, book)
    for item in items[1:]:
        if not made.gap:
            book.tell("mapping.idle", item.spot, word_of(item), word_of(items[0]), "warning")
            break
        made = made.or_else(possible(item, here, where, book))
    return made


def _join(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    between = len(word(options["with"])) if "with" in options else 0
    if isinstance(rule, Text):
        one = _plain(rule, here, where, book)
        if one.many:
            return replace(one, domain=_joined(one.domain), many="")
        return one
    parts = [possible(item, here, where, book) for item in (rule.items if isinstance(rule, Listing) else ())]
    lengths = [part.domain.most for part in parts]
    most = sum(lengths) + between * (len(parts) - 1) if all(lengths) else 0
    gap = next((part.gap for part in parts), "") if all(part.gap for part in parts) else ""
    known = [part.places for part in parts if part.places is not None]
    places = frozenset[Place]().union(*known) if len(known) == len(parts) else None
    domain = Domain(
        most=most, wide=any(part.domain.wide for part in parts), least=min(part.domain.least for part in parts)
    )
    return Possible(domain, gap, next((part.many for part in parts if part.many), ""), places)


def _joined(domain: Domain) -> Domain:
    return Domain("any") if domain.form == "any" else Domain(wide=domain.wide, least=domain.least)


def _total(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    one = possible(rule, here, where, book)
    number = one.domain if one.domain.form in ("integer", "decimal") else Domain("decimal")
    return Possible(replace(number, codes=None, digits=0, high=None, patterns=(), name=""), one.gap, "", one.places)


def _counted(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    if isinstance(rule, Text) and rule.value not in ("loop", "../"):
        tested(locate(rule.value, here), rule.spot, book)
    return Possible(_COUNT, places=frozenset())


def _number(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    return Possible(replace(_COUNT, low=maybe("1")), places=frozenset())


def _running(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    possible(rule, here, where, book)
    return Possible(Domain("decimal"), places=frozenset())


def _party(rule: Rule, options: dict[str, Rule], here: Here, where: Where, book: Book) -> Possible:
    made = possible(rule, here, where, book)
    gap = made.gap or ("unknown: empty" if word_of(options.get("unknown", rule)) == "empty" else "")
    return Possible(Domain("any"), gap, made.many, made.places)


def _chosen(rule: Rule, here: Here, where: Where, book: Book) -> Possible:
    made: Possible | None = None
    closed = False
    for item, when in choices(rule):
        one = possible(item, here, under(when, here, where, book), book)
        closed = when is None
        made = (
            one
            if made is None
            else replace(
                one, domain=made.domain.united(one.domain), gap=made.gap or one.gap, many=made.many or one.many
            )
        )
    if made is None:
        return Possible(Domain("any"), "choose")
    return replace(made, gap=made.gap or ("" if closed else "choose"), places=None)


_HEADS: dict[str, Callable[..., Possible]] = {
    "from": _from,
    "first": _first,
    "join": _join,
    "count": _counted,
    "sum": _total,
    "min": _total,
    "max": _total,
    "number": _number,
    "running": _running,
    "party": _party,
    "spread": _from,
}


# ---- through a code table


def _mapped(made: Possible, options: dict[str, Rule], book: Book) -> Possible:
    """Through a code table; codes that it lacks are told where nothing says what becomes of them."""
    rule = options["map"]
    inner = dict(rule.entries) if isinstance(rule, Branch) else {"table": rule}
    name, policy = word(inner["table"]), inner.get("unknown", options.get("unknown"))
    table = book.tables[name]
    codes = made.domain.codes
    book.met.setdefault(name, []).append((inner["table"].spot, codes))
    lacking = sorted(codes - table.keys()) if codes is not None else []
    if lacking and policy is None:
        book.tell("mapping.incomplete", inner["table"].spot, name, ", ".join(lacking), "warning")
    met = codes & table.keys() if codes is not None else table.keys()
    dated = getattr(table, "dated", {})
    values = {one.value for code in met for one in dated.get(code, ())} | {table[code] for code in met}
    said = word(policy) if policy else "reject"
    if codes is not None and not lacking:
        said = "reject"
    return _others(made, said, values)


def _others(made: Possible, said: str, values: set[str]) -> Possible:
    gap = made.gap
    if said == "keep":
        return replace(made, domain=texts(*values).united(made.domain))
    if said == "empty":
        gap = gap or "unknown: empty"
    if said.startswith("="):
        values = values | {said[1:]}
    return replace(made, domain=texts(*values), gap=gap, places=None if said == "empty" else made.places)
