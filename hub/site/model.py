"""The shape of routes.yaml and system.yaml. One model gives validation, the editor's schema and the lint."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def span(text: str) -> timedelta:
    """A duration as people write it. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", text)
    if not match:
        raise ValueError("write a duration as 30s, 15m, 2h or 1d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _duration(value: Any) -> Any:
    return span(value) if isinstance(value, str) else value


def _written(pattern: str, example: str) -> WithJsonSchema:
    """What an editor is told of a value that is written as a text of its own form."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": example})


Duration = Annotated[timedelta, BeforeValidator(_duration), _written("[0-9]{1,6}\\s*[smhd]", "30s, 15m, 2h, 1d")]
"""A natural time span: 30s, 15m, 2h, 1d."""


_SPANS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Rate(NamedTuple):
    """So many in every span."""

    most: int
    span: timedelta


def _rate(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"([1-9][0-9]{0,8}) per (second|minute|hour|day)", value)
        if not match:
            raise ValueError("write a rate as 600 per minute (second, minute, hour, day)")
        return Rate(int(match[1]), timedelta(seconds=_SPANS[match[2]]))
    if value is not None and not isinstance(value, Rate):
        raise ValueError("write a rate as 600 per minute (second, minute, hour, day)")
    return value


_PER = _written("[1-9][0-9]{0,8} per (second|minute|hour|day)", "600 per minute")
Throttle = Annotated[Rate | None, BeforeValidator(_rate), _PER]
"""A rate, or none."""

Level = Literal["transport", "syntax", "application", "business", "closing"]
"""What an answer speaks of, from the lowest: it arrived; it can be read; it is in the system; yes or no; it is over."""


class Part(BaseModel):
    """Base of every declaration: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(Part):
    zh: str
    en: str


class Retry(Part):
    """Waits double from `first` to `longest` with full jitter; after `give_up` a person decides."""

    first: Duration = timedelta(seconds=5)
    longest: Duration = timedelta(minutes=15)
    give_up: Duration = timedelta(days=1)


class Endpoint(Part):
    """An address with a transport. What else it takes is the adapter's own model (`options`)."""

    adapter: str
    options: dict[str, Any] = {}
    sign: dict[Literal["xml", "edifact", "json", "csv", "flat"], Literal["xmldsig", "cms"]] = {}
    retry: Retry = Retry()
    attention: Duration = timedelta(hours=4)  # by when somebody should have looked at what went wrong


class Party(Part):
    """One party of the port."""

    title: Title
    role: str
    at: str = ""  # its endpoint
    edi: str = ""  # its id in UNB S002/S003; the party's name when empty
    charset: str = ""  # the agreement's charset; beats UNB
    gzip: bool = False  # what it sends may be packed
    certificates: list[str] = []  # PEM files; two during a rotation
    signed: bool = False  # what it sends must be signed
    acknowledge: Literal["always", "asked", "never"] = "asked"  # CONTRL
    max_size: int = 50_000_000
    backlog: int = 500  # unopened interchanges; above it the hub leaves the rest at their source
    rate: Throttle = None  # interchanges taken in; the rest stays at its source
    test_only: bool = False


class When(Part):
    kind: str
    sender: str = ""
    test: bool | None = None


class Owed(Part):
    """The receipt that closes a delivery."""

    level: Level = "business"
    within: Duration = timedelta(minutes=30)


class Route(Part):
    """Every message of `when` goes to each party of `to` as the named kind. `sender` is the party that opened."""

    when: When
    to: dict[str, str]
    answer: Owed | None = None


class Doors(Part):
    sftp: str = "127.0.0.1:2222"
    http: str = "127.0.0.1:8022"
    metrics: str = ""  # figures for Prometheus; empty: none are served


class Identity(Part):
    """PEM files, below the site's folder unless absolute. Empty: an embedded CA in spool/keys, made on first start."""

    key: str = ""
    certificate: str = ""
    roots: list[str] = []  # CAs whose word on a party's name counts
    crls: list[str] = []


class Stamping(Part):
    """A time-stamp authority (RFC 3161). Its roots are PEM files, below the site's folder unless absolute."""

    url: str = Field(pattern="^https?://.")
    roots: list[str] = Field(min_length=1)
    stop_after: Duration = timedelta(hours=4)  # without a stamp for so long, the port takes nothing in


class Evidence(Part):
    """What has happened is sealed when so much time has passed or so many events have come, whichever is first."""

    every: Duration = timedelta(minutes=1)
    events: int = Field(default=1000, ge=1, le=10_000)
    stamp: Stamping | None = None


class Mail(Part):
    """One plain-text mail to all of `to`, by the server `smtp` (host:port)."""

    to: list[str]
    from_: str = Field(alias="from")
    smtp: str
    user: str = ""
    password: str = ""  # a reference


class Webhook(Part):
    """JSON by POST, with a bearer token or signed by HMAC-SHA256; both are references."""

    url: str
    token: str = ""
    secret: str = ""


class Alarm(Part):
    """Whom to tell that something waits: by code, and perhaps by owner, party or endpoint. Exactly one way."""

    on: list[str]  # codes of docs/findings.md, "delivery.*", "*"; "overdue" is whatever nobody looked at in time
    owner: str = ""
    party: str = ""
    endpoint: str = ""
    severity: Literal["info", "warning", "critical"] = "warning"
    after: Duration | None = None  # only what has waited for so long
    repeat: Duration | None = None  # again and again while it waits
    resolved: bool = False  # also when it no longer waits
    command: list[str] = []
    mail: Mail | None = None
    webhook: Webhook | None = None


class Room(NamedTuple):
    """So much room on a disk, as a share of it or in bytes."""

    percent: int
    bytes: int

    def of(self, total: int) -> int:
        return max(total * self.percent // 100, self.bytes)


_SIZES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def _room(value: Any) -> Any:
    match = re.fullmatch(r"([0-9]{1,6})\s*(%|MB|GB|TB)", value) if isinstance(value, str) else None
    if isinstance(value, Room):
        return value
    if not match or (match[2] == "%" and int(match[1]) > 99):
        raise ValueError("write room on a disk as 10% or 5 GB")
    number = int(match[1])
    return Room(number, 0) if match[2] == "%" else Room(0, number * _SIZES[match[2]])


Share = Annotated[Room, BeforeValidator(_room), _written("[0-9]{1,6}\\s*(%|MB|GB|TB)", "10%, 5 GB")]
"""Room on a disk: 10%, 5 GB."""


class Limits(Part):
    """What the hub watches over itself (hub.conditions)."""

    disk: Share = Room(10, 0)  # less free where spool/ is: nothing is taken in
    unopened: Duration = timedelta(minutes=15)  # nothing that came in should wait longer to be opened
    certificates: list[int] = [60, 30, 7]  # days before the end at which somebody is told
    clock: Duration | None = None  # how far this machine's clock may be off; None: nobody asks


class Retention(Part):
    """How long bytes stay (hub.retention). None: for ever."""

    payloads: Duration | None = None


class Routes(Part):
    """routes.yaml: who is in this port."""

    port: str
    title: Title
    zone: str = "Asia/Shanghai"
    doors: Doors = Doors()
    identity: Identity = Identity()
    evidence: Evidence = Evidence()
    attention: Duration = timedelta(hours=4)  # by when somebody should have looked at what is held
    alarms: dict[str, Alarm] = {}
    limits: Limits = Limits()
    retention: Retention = Retention()
    parties: dict[str, Party]
    endpoints: dict[str, Endpoint]
    routes: dict[str, Route]


class Value(Part):
    """A value of a message: where it is and which table names it."""

    from_: str = Field(alias="from")
    map: str = ""


class Verdict(Part):
    from_: str = Field(alias="from")
    accepted: list[str]
    refused: list[str]


class Pointer(Part):
    """Paths of the numbers of a place, counted as in CONTRL: UNH is segment 1, and the tag of a segment its element 1.
    With `each` a reason has several places, and the paths of `element`, `component` and `code` are below it."""

    segment: str = Field(min_length=1)
    each: str = ""
    element: str = ""
    component: str = ""
    code: str = ""


class Reasons(Part):
    each: str
    code: str
    text: str = ""  # without it: what the standard says of the code
    at: str | Pointer = ""  # where in the message that we sent; a path has that in words (docs/declare.md)


class Answers(Part):
    """How a message of this kind answers one of ours: which references it quotes and what it says."""

    level: Level
    by: dict[str, str]
    verdict: Verdict
    number: str = ""
    reasons: Reasons | None = None


class RecordType(Part):
    """One type of flat record. Fields by position: a path below `opens`, `=text`, `#records`, or "" for none."""

    opens: str | None = None  # path of the element that it is, from the root
    fields: list[str] = []


class Layout(Part):
    """How a document of a schema stands in CSV or flat records (hub.records)."""

    names: str = ""  # files of such a name are this kind, as "*.csv"
    charset: Literal["utf-8", "gb18030", "gbk", "big5", "iso-8859-1"] = "utf-8"
    row: str = ""  # CSV: path of the element that repeats, from the root
    columns: dict[str, str] = {}  # header -> path below the row
    head: dict[str, str] = {}  # header -> path from the root, of values that stand in each line
    split: list[str] = []  # headers of head: where their values change, another document begins
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    header: bool = True  # the first line has the headers
    guard: bool = False  # write ' before what a spreadsheet would take for a formula
    records: dict[str, RecordType] = {}  # flat: by tag, in the order in which they are written
    separator: str = Field(default=":", pattern=r"^[^A-Za-z0-9\s]$")
    terminator: str = Field(default="'", pattern=r"^([^A-Za-z0-9\s]|\n)$")
    escape: str = Field(default="?", pattern=r"^[^A-Za-z0-9\s]?$")  # empty: none


class Kind(Layout):
    """What a message is."""

    format: Literal["edifact", "xml", "json", "csv", "flat"]
    type: str = ""  # EDIFACT 0065
    release: str = ""  # EDIFACT 0052:0054, "D:96B"
    association: str = ""  # EDIFACT 0057
    schema_: str = Field(default="", alias="schema")  # of all but EDIFACT, below schemas/
    root: str = ""  # its root element
    becomes: str = ""  # the canonical kind it is mapped to on arrival
    keys: dict[str, str] = {}
    document: str = ""  # path of the business number: the same number twice is a duplicate or a conflict
    function: Value | None = None  # original, amendment, cancellation
    answers: Answers | None = None


class On(Part):
    """When a stage is reached. Names are kinds (`cusrep-d96b`) or verdicts (`CUSTOMS accepted`)."""

    all: list[str] = []
    any: list[str] = []


class Send(Part):
    kind: str
    to: str  # a party, or `sender`


class Stage(Part):
    """One step of a case. `within` counts from the opening of the case."""

    on: On
    within: Duration | None = None
    make: str = ""  # a kind, mapped from the case's messages
    send: Send | None = None
    closes: bool = False


class CaseRule(Part):
    key: list[str]
    stages: dict[str, Stage]


class System(Part):
    """mappings/<system>/system.yaml: one port system."""

    system: str
    title: Title
    kinds: dict[str, Kind]
    case: CaseRule | None = None
