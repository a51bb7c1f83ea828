"""The shape of routes.yaml and system.yaml. One model gives validation, the editor's schema and the lint."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,6})\s*([smhd])", value)
        if not match:
            raise ValueError("write a duration as 30s, 15m, 2h or 1d")
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A natural time span: 30s, 15m, 2h, 1d."""


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
    sign: dict[Literal["xml", "edifact"], Literal["xmldsig", "cms"]] = {}
    retry: Retry = Retry()
    attention: Duration = timedelta(hours=4)  # by when somebody should have looked at what went wrong


class Party(Part):
    """One party of the port."""

    title: Title
    role: str
    at: str = ""  # its endpoint
    edi: str = ""  # its id in UNB S002/S003; the party's name when empty
    charset: str = ""  # the agreement's charset; beats UNB
    certificates: list[str] = []  # PEM files; two during a rotation
    signed: bool = False  # what it sends must be signed
    acknowledge: Literal["always", "asked", "never"] = "asked"  # CONTRL
    max_size: int = 50_000_000
    backlog: int = 500  # unopened interchanges; above it the hub leaves the rest at their source
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


class Identity(Part):
    """PEM files, below the site's folder unless absolute. Empty: an embedded CA in spool/keys, made on first start."""

    key: str = ""
    certificate: str = ""
    roots: list[str] = []  # CAs whose word on a party's name counts
    crls: list[str] = []


class Routes(Part):
    """routes.yaml: who is in this port."""

    port: str
    title: Title
    zone: str = "Asia/Shanghai"
    doors: Doors = Doors()
    identity: Identity = Identity()
    attention: Duration = timedelta(hours=4)  # by when somebody should have looked at what is held
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


class Reasons(Part):
    each: str
    code: str
    text: str


class Answers(Part):
    """How a message of this kind answers one of ours: which references it quotes and what it says."""

    level: Level
    by: dict[str, str]
    verdict: Verdict
    number: str = ""
    reasons: Reasons | None = None


class Kind(Part):
    """What a message is."""

    format: Literal["edifact", "xml"]
    type: str = ""  # EDIFACT 0065
    release: str = ""  # EDIFACT 0052:0054, "D:96B"
    association: str = ""  # EDIFACT 0057
    schema_: str = Field(default="", alias="schema")  # XML, below schemas/
    root: str = ""  # XML root element
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
