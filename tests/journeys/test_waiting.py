"""Whatever waits stands once in one list, with a reason, an owner and a time; it leaves it when its cause has ended."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from adapters.memory import Memory, MemoryOutlet
from hub import cases, courier, decisions, journey, opening
from hub.catalogue import catalogue
from hub.contract import Handover, Known, Parcel
from hub.engine import gate
from hub.errors import OutcomeUnknown
from hub.identity.keys import Signer, load_certificates, parse_key
from hub.identity.xmldsig import sign
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.site.load import load

BOTH = True
MAPPINGS = Path(__file__).parents[2] / "mappings"
ORIGINAL = (MAPPINGS / "manifest" / "cases" / "01-original" / "in.edi").read_bytes()
ARRIVAL = (MAPPINGS / "vessel" / "cases" / "01-arrival" / "in.edi").read_bytes()
AMENDED_CALL = (MAPPINGS / "vessel" / "cases" / "04-amendment" / "in.edi").read_bytes()
NUMBER = "TJL2611230001"
HOUR = timedelta(hours=1)


# ---- what is sent


def cuscar(reference: str, function: str = "9", weight: str = "8460", number: str = NUMBER) -> bytes:
    """One manifest in an interchange of its own; function 9 is an original, 4 an amendment."""
    data = ORIGINAL.replace(b"TJ26112301", reference.encode()).replace(NUMBER.encode(), number.encode())
    return data.replace(b"+9'\nDTM", f"+{function}'\nDTM".encode(), 1).replace(b"KGM:8460", f"KGM:{weight}".encode())


def together(reference: str, *interchanges: bytes) -> bytes:
    """The message of each interchange, in one."""
    bodies = []
    for count, data in enumerate(interchanges, 1):
        body = data[data.index(b"UNH+") : data.index(b"UNZ+")]
        bodies.append(re.sub(rb"(UNT\+\d+\+)1", rb"\g<1>%d" % count, body.replace(b"UNH+1+", b"UNH+%d+" % count)))
    head = ORIGINAL[: ORIGINAL.index(b"UNH+")].replace(b"TJ26112301", reference.encode())
    return head + b"".join(bodies) + f"UNZ+{len(bodies)}+{reference}'\n".encode()


def submit(port: Any, *files: bytes) -> None:
    """Several files, which the hub takes in at once."""
    taken = len(port.column(t.interchange, "id"))
    for count, data in enumerate(files, taken):
        port.submit("tjline", f"file-{count:03}.edi", data)
    port.run()


def weights(port: Any, party: str = "CUSTOMS", pattern: bytes = rb"<GrossWt>(8\d\d\d)<") -> list[str]:
    """Which versions of the manifest arrived at a party, in the order of arrival."""
    e, d = t.event, t.delivery
    sent = select(d.c.payload).join(e, e.c.subject == d.c.id).where(e.c.what == "sent", d.c.party == party)
    payloads = (port.journal.payload(row["payload"]) for row in port.journal.rows(sent.order_by(e.c.seq)))
    found = (re.search(pattern, payload) for payload in payloads)
    return [match[1].decode() for match in found if match]


def answer(asked: bytes, status: str = "01") -> str:
    reference, number = (re.search(rf"<{tag}>([^<]+)<".encode(), asked) for tag in ("Reference", "ManifestNo"))
    assert reference and number
    return (
        f'<CustomsAnswer xmlns="urn:eport:manifest:customs-answer:1"><Reference>{reference[1].decode()}</Reference>'
        f"<Number>{number[1].decode()}</Number><Status>{status}</Status><At>2026-11-23T08:30:00+08:00</At>"
        "</CustomsAnswer>"
    )


def customs_says(port: Any, status: str = "01") -> None:
    asked = port.files("customs", "in")[-1].read_bytes()
    port.answer("CUSTOMS", f"answer-{port.now:%H%M%S}.xml", answer(asked, status))
    port.run()


# ---- what waits


def waiting(port: Any) -> dict[str, Any]:
    return {row["subject"]: row for row in port.journal.rows(select(t.waiting))}


def the_only(port: Any, code: str, owner: str) -> Any:
    """The one thing that waits: for this reason, for this owner, with a time by which somebody should have looked."""
    [row] = waiting(port).values()
    assert (row["code"], row["owner"]) == (code, owner)
    assert row["code"] in catalogue()["finding"]
    assert row["since"] < row["due_at"]
    return row


def state(port: Any, table: Any, id: str) -> str:
    return str(port.journal.row(select(table).where(table.c.id == id))["state"])


def versions(port: Any) -> list[tuple[str, str, str]]:
    """(state, supersedes, superseded_by) of every version of the manifest, by number of its place."""
    m = t.message
    rows = port.journal.rows(select(m).where(m.c.document == NUMBER).order_by(m.c.at, m.c.id))
    place = {row["id"]: str(count) for count, row in enumerate(rows, 1)} | {"": "-"}
    return [(row["state"], place[row["supersedes"]], place[row["superseded_by"]]) for row in rows]


def chain(port: Any) -> list[str]:
    """The messages of the document from the first version to the one in force. Fails on a fork."""
    m = t.message
    rows = port.journal.rows(select(m).where(m.c.document == NUMBER, m.c.state.in_(("routed", "done"))))
    follows = {row["supersedes"]: row["id"] for row in rows}
    assert len(follows) == len(rows), "two versions supersede the same one"
    found, next_ = [], follows.get("")
    while next_:
        found.append(next_)
        next_ = follows.get(next_)
    assert len(found) == len(rows)
    return found


def outlet(port: Any, endpoint: str, *failures: Known, **how: bool) -> Memory:
    """Put a box that fails as told in the place of an endpoint."""
    box = Memory(failures=deque(failures), **how)
    port.outlets[endpoint] = MemoryOutlet(box)
    return box


def release(port: Any, id: str) -> None:
    decisions.release(port.site, port.journal, id, "LI", "looked at it", port.now)
    port.run()


def forward(port: Any, span: timedelta) -> None:
    port.now += span
    port.run()


# ---- documents: amendments and the same number again


def test_an_amendment_before_its_original_waits_and_then_goes_on_by_itself(port: Any) -> None:
    submit(port, cuscar("R1", "4", "8640"))
    row = the_only(port, "routing.amends_nothing", "sender")
    assert state(port, t.message, row["subject"]) == "held" and port.files("customs", "in") == []
    submit(port, cuscar("R2"))
    assert waiting(port) == {}
    assert weights(port) == ["8460", "8640"] and len(port.files("terminal", "inbound")) == 2
    first, last = chain(port)
    assert last == row["subject"] and first != last


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["original first", "amendment first"])
def test_original_and_amendment_in_one_interchange_both_go_in_order(port: Any, order: tuple[int, int]) -> None:
    both = [cuscar("R1"), cuscar("R1", "4", "8640")]
    submit(port, together("R1", *(both[at] for at in order)))
    assert waiting(port) == {}
    assert weights(port) == ["8460", "8640"]
    assert len(chain(port)) == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["original first", "amendment first"])
def test_original_and_amendment_in_one_batch_both_go_in_order(port: Any, order: tuple[int, int]) -> None:
    both = [cuscar("R1"), cuscar("R2", "4", "8640")]
    submit(port, *(both[at] for at in order))
    assert waiting(port) == {}
    assert weights(port) == ["8460", "8640"]
    assert len(chain(port)) == 2


@pytest.mark.parametrize("how", ["batch", "interchange"])
def test_two_amendments_at_once_are_one_chain_and_no_fork(port: Any, how: str) -> None:
    submit(port, cuscar("R1"))
    amendments = [cuscar("R2", "4", "8640"), cuscar("R3", "4", "8650")]
    submit(port, *(amendments if how == "batch" else [together("R2", *amendments)]))
    assert weights(port) == ["8460", "8640", "8650"]
    assert len(chain(port)) == 3 and waiting(port) == {}


def test_many_amendments_in_one_interchange_are_one_chain(port: Any) -> None:
    amendments = [cuscar("R1", "4", f"86{at}0") for at in range(1, 9)]
    submit(port, together("R1", cuscar("R1"), *amendments))
    assert waiting(port) == {}
    assert weights(port) == ["8460", *(f"86{at}0" for at in range(1, 9))] and len(chain(port)) == 9


def test_amendments_that_waited_together_are_taken_up_in_the_order_in_which_they_came(port: Any) -> None:
    others = [cuscar("R1", number=f"TJL26112399{at:02}") for at in range(8)]
    early, late = cuscar("R1", "4", "8640"), cuscar("R1", "4", "8650")
    submit(port, together("R1", *others, early, late))  # the ninth and the tenth message: as text, 10 is before 9
    assert len(waiting(port)) == 2
    submit(port, cuscar("R2"))
    assert weights(port)[-3:] == ["8460", "8640", "8650"]
    assert [id.rpartition(".")[2] for id in chain(port)] == ["1", "9", "10"]


def test_an_amendment_never_overtakes_one_that_came_before_it_and_is_being_taken_up(port: Any) -> None:
    submit(port, cuscar("R1", "4", "8640"))
    port.submit("tjline", "original.edi", cuscar("R2"))
    port.submit("tjline", "third.edi", cuscar("R3", "4", "8650"))
    port.run()
    assert weights(port) == ["8460", "8640", "8650"] and len(chain(port)) == 3


def test_the_same_document_twice_in_one_interchange_goes_once(port: Any) -> None:
    submit(port, together("R1", cuscar("R1"), cuscar("R1")))
    assert weights(port) == ["8460"] and waiting(port) == {}
    assert sorted(state for state, *_ in versions(port)) == ["duplicate", "routed"]


def test_the_same_number_with_other_content_in_one_interchange_is_held_and_told(port: Any) -> None:
    submit(port, together("R1", cuscar("R1"), cuscar("R1", weight="8999")))
    the_only(port, "opening.document_conflict", "sender")
    assert weights(port) == ["8460"]
    assert told(port) == ["opening.document_conflict"]


def test_the_same_number_with_other_content_later_is_held_and_told_and_not_forwarded(port: Any) -> None:
    submit(port, cuscar("R1"))
    submit(port, cuscar("R2", weight="8999"))
    row = the_only(port, "opening.document_conflict", "sender")
    assert weights(port) == ["8460"] and len(port.files("terminal", "inbound")) == 1
    assert told(port) == ["opening.document_conflict"]
    decisions.cancel(port.journal, row["subject"], "LI", "the sender withdrew it", port.now)
    assert waiting(port) == {}


def told(port: Any) -> list[str]:
    """The codes of what the sender was told to be wrong."""
    import json

    files = [path for path in port.files("tjline", "error") if path.name.endswith(".error.json")]
    return [finding["code"] for path in files for finding in json.loads(path.read_text("utf-8"))["findings"]]


# ---- declarations that lack something


def declare(port: Any, path: str, old: str, new: str) -> None:
    """Change one declaration of the running site."""
    file = port.folder / path
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")
    port.site = load(port.folder, port.site.register, port.site.signer)


def without_manifest_routes(port: Any) -> str:
    """Take the routes and the case of manifests away; what the routes were."""
    system = port.folder / "mappings" / "manifest" / "system.yaml"
    text = system.read_text("utf-8")
    system.write_text(text[: text.index("case:\n")], "utf-8")
    routes = (port.folder / "routes.yaml").read_text("utf-8")
    cut = routes[routes.index("  manifest-to-customs:") :]
    declare(port, "routes.yaml", cut, "")
    return cut


def test_a_message_that_no_route_takes_is_held_until_a_route_does(port: Any) -> None:
    routes = without_manifest_routes(port)
    submit(port, cuscar("R1"))
    row = the_only(port, "routing.no_route", "integrator")
    release(port, row["subject"])
    assert the_only(port, "routing.no_route", "integrator")["subject"] == row["subject"]  # nothing has changed yet
    last = "  vessel-to-agencies:"
    declare(port, "routes.yaml", last, routes + last)
    release(port, row["subject"])
    assert waiting(port) == {} and weights(port) == ["8460"]
    assert len(port.files("terminal", "inbound")) == 1


def test_a_message_may_be_released_as_often_as_one_likes(port: Any) -> None:
    without_manifest_routes(port)
    submit(port, cuscar("R1"))
    for _ in range(6):
        release(port, the_only(port, "routing.no_route", "integrator")["subject"])


def test_an_amendment_of_a_held_original_goes_when_the_original_does(port: Any) -> None:
    routes = without_manifest_routes(port)
    submit(port, cuscar("R1"))
    submit(port, cuscar("R2", "4", "8640"))
    original = next(row["subject"] for row in waiting(port).values() if row["code"] == "routing.no_route")
    declare(port, "routes.yaml", "  vessel-to-agencies:", routes + "  vessel-to-agencies:")
    release(port, original)
    assert waiting(port) == {} and weights(port) == ["8460", "8640"]


COPRAR = "mappings/manifest/manifest--to--coprar-d95b.yaml"
TOO_LONG = "C506/1154: {join: [Manifest/Number, Manifest/Number, Manifest/Number], with: / }"


def broken_terminal_mapping(port: Any) -> None:
    declare(port, COPRAR, "C506/1154: Manifest/Voyage", TOO_LONG)


def mend_terminal_mapping(port: Any) -> None:
    declare(port, COPRAR, TOO_LONG, "C506/1154: Manifest/Voyage")


def test_a_mapping_that_fails_for_one_party_holds_that_delivery_only(port: Any) -> None:
    broken_terminal_mapping(port)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.not_made", "integrator")
    assert "mapping.too_long" in row["detail"]
    assert weights(port) == ["8460"] and port.files("terminal", "inbound") == []
    release(port, row["subject"])
    assert the_only(port, "delivery.not_made", "integrator")["subject"] == row["subject"]
    mend_terminal_mapping(port)
    release(port, row["subject"])
    assert waiting(port) == {} and len(port.files("terminal", "inbound")) == 1


def test_an_amendment_waits_behind_an_original_that_is_being_made_again(port: Any) -> None:
    broken_terminal_mapping(port)
    submit(port, cuscar("R1"))
    mend_terminal_mapping(port)
    submit(port, cuscar("R2", "4", "8640"))
    assert port.files("terminal", "inbound") == []
    decisions.release(port.site, port.journal, next(iter(waiting(port))), "LI", "mended", port.now)
    rule = port.site.routes.endpoints["terminal"]
    courier.send(port.journal, port.outlets["terminal"], "terminal", rule, port.now)  # before any worker comes by
    assert port.files("terminal", "inbound") == []
    port.run()
    assert weights(port, "TERMINAL", rb"BGM\+785\+[^+]+\+(\d)'") == ["9", "5"]


def test_a_delivery_made_late_gives_its_party_the_whole_time_to_answer(port: Any) -> None:
    mapping = "mappings/manifest/manifest--to--customs-manifest.yaml"
    declare(port, mapping, "ShipIMO: Manifest/Vessel/IMO", "ShipIMO: Manifest/Voyage")
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.not_made", "integrator")
    forward(port, 5 * HOUR)
    declare(port, mapping, "ShipIMO: Manifest/Voyage", "ShipIMO: Manifest/Vessel/IMO")
    release(port, row["subject"])
    assert weights(port) == ["8460"] and waiting(port) == {}
    forward(port, HOUR)
    the_only(port, "delivery.overdue", "CUSTOMS")


def test_text_that_a_charset_cannot_hold_is_held_and_the_worker_goes_on(port: Any) -> None:
    declare(port, "routes.yaml", "at: terminal, charset: utf-8", "at: terminal, charset: ascii")
    chinese = cuscar("R1").replace(b"TIANJIN PEARL", "天津明珠".encode())
    submit(port, chinese, cuscar("R2", number="TJL2611239999"))
    row = the_only(port, "delivery.not_made", "integrator")
    assert row["detail"].startswith("delivery.charset") and row["subject"].endswith("-TERMINAL")
    assert len(port.files("customs", "in")) == 2 and len(port.files("terminal", "inbound")) == 1
    declare(port, "routes.yaml", "at: terminal, charset: ascii", "at: terminal, charset: utf-8")
    release(port, row["subject"])
    assert waiting(port) == {} and len(port.files("terminal", "inbound")) == 2


def test_a_reference_in_chinese_is_answered_with_the_same_reference(port: Any) -> None:
    submit(port, cuscar("舱单一"), cuscar("R2", number="TJL2611239999"))
    assert port.column(t.interchange, "state") == ["opened", "opened"] and waiting(port) == {}
    answers = [path.read_bytes() for path in port.files("tjline", "inbound") if "CONTRL" in path.name]
    assert len(port.files("customs", "in")) == 2 == len(answers)
    assert any("UCI+舱单一+".encode() in data for data in answers)


def test_when_the_hubs_certificate_ends_what_must_be_signed_is_held_and_the_rest_goes(port: Any) -> None:
    good = port.signers["TJEPORT"]
    port.now += timedelta(days=900)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.not_made", "integrator")
    assert row["detail"].startswith("identity.unusable") and row["subject"].endswith("-CUSTOMS")
    assert len(port.files("terminal", "inbound")) == 1
    issued = port.authority.issue("TJEPORT", port.now)
    fresh = Signer(parse_key(issued.private_key), load_certificates(issued.certificate)[0])
    assert fresh != good
    port.site = replace(port.site, signer=fresh)
    release(port, row["subject"])
    assert waiting(port) == {} and weights(port) == ["8460"]


# ---- due clocks


def test_an_answer_that_does_not_come_is_overdue_and_counts_when_it_comes(port: Any) -> None:
    submit(port, cuscar("R1"))
    forward(port, timedelta(minutes=29))
    assert waiting(port) == {}
    forward(port, timedelta(minutes=2))
    row = the_only(port, "delivery.overdue", "CUSTOMS")
    customs_says(port)
    assert waiting(port) == {} and state(port, t.delivery, row["subject"]) == "answered"
    assert port.column(t.receipt, "state") == ["late"] and port.column(t.case, "outcome") == ["accepted"]


def contrl(asked: bytes) -> bytes:
    reference = re.search(rb"<Reference>(E\d+)<", asked)
    assert reference
    body = f"UCI+{reference[1].decode()}+TJEPORT:ZZZ+CUSTOMS:ZZZ+7'"
    head = "UNB+UNOA:3+CUSTOMS:ZZZ+TJEPORT:ZZZ+261123:0830+C1'UNH+1+CONTRL:D:3:UN'"
    return f"{head}{body}UNT+3+1'UNZ+1+C1'".encode()


def test_a_receipt_of_the_syntax_level_does_not_take_an_overdue_delivery_off_the_list(port: Any) -> None:
    declare(port, "routes.yaml", "at: customs, signed: true", "at: customs")  # a CONTRL bears no signature
    submit(port, cuscar("R1"))
    forward(port, timedelta(minutes=31))
    asked = port.files("customs", "in")[0].read_bytes()
    (port.home("customs") / "out" / "c.edi").write_bytes(contrl(asked))
    port.run()
    row = the_only(port, "delivery.overdue", "CUSTOMS")
    assert state(port, t.delivery, row["subject"]) == "receipted"
    customs_says(port)
    assert waiting(port) == {} and port.column(t.receipt, "state") == ["late", "matched"]


def call_message(at: int) -> bytes:
    """One message of a ship's call in an interchange of its own: 0 the report, 1 the crew list."""
    bodies = ARRIVAL[ARRIVAL.index(b"UNH+") : ARRIVAL.index(b"UNZ+")].split(b"UNH+")[1:]
    reference = f"PART{at}".encode()
    head = ARRIVAL[: ARRIVAL.index(b"UNH+")].replace(b"BH26112301", reference)
    return head + b"UNH+" + bodies[at] + b"UNZ+1+" + reference + b"'"


def test_a_case_that_lacks_a_message_of_its_sender_waits_for_its_sender(port: Any) -> None:
    port.submit("bohai", "report.edi", call_message(0))
    port.run()
    assert waiting(port) == {}
    forward(port, 5 * HOUR)
    row = the_only(port, "case.overdue", "BOHAI")
    assert row["detail"] == "declared"
    port.submit("bohai", "crew.edi", call_message(1))
    port.run()
    assert waiting(port) == {}


def agency_says(port: Any, agency: str, status: str = "A") -> None:
    asked = [p for p in port.files(agency.lower(), "in") if not p.name.endswith(".p7s")][-1]
    found = re.search(rb"E\d{9}", asked.read_bytes())
    assert found
    port.answer(
        agency,
        f"{agency}-{port.now:%d%H%M%S}.xml",
        f'<AgencyAnswer xmlns="urn:eport:vessel:agency-answer:1"><Agency>{agency}</Agency>'
        f"<Reference>{found[0].decode()}</Reference><Call>BOHAI26112301</Call><Status>{status}</Status>"
        f"<At>2026-11-23T08:30:00+08:00</At></AgencyAnswer>",
    )
    port.run()


def test_a_promised_stage_waits_for_the_parties_that_have_not_answered(port: Any) -> None:
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    for agency in ("CUSTOMS", "INSPECTION"):
        agency_says(port, agency)
    forward(port, 9 * HOUR)
    rows = waiting(port)
    [case] = [row for row in rows.values() if row["what"] == "case"]
    assert (case["code"], case["owner"], case["detail"]) == ("case.overdue", "MARITIME, BORDER", "cleared")
    assert sorted(row["owner"] for row in rows.values() if row["what"] == "delivery") == ["BORDER", "MARITIME"]
    for agency in ("MARITIME", "BORDER"):
        agency_says(port, agency)
    assert waiting(port) == {} and port.column(t.case, "outcome") == ["cleared"]


def test_what_nobody_looks_at_is_marked_once(port: Any) -> None:
    submit(port, cuscar("R1", "4"))
    row = the_only(port, "routing.amends_nothing", "sender")
    assert not row["overdue"]
    for _ in range(3):
        forward(port, 5 * HOUR)
    row = the_only(port, "routing.amends_nothing", "sender")
    assert row["overdue"]
    e = t.event
    assert len(port.journal.rows(select(e).where(e.c.what == "unattended", e.c.subject == row["subject"]))) == 1


# ---- endpoints


def test_an_endpoint_that_lets_nothing_through_breaks_after_three_rounds_and_heals(port: Any) -> None:
    box = outlet(port, "customs", down=True)
    submit(port, cuscar("R1"), cuscar("R2", number="TJL2611239999"))
    for _ in range(3):
        if not waiting(port):
            assert port.journal.row(select(t.endpoint))["failures"] < courier.BREAK_AFTER
            forward(port, HOUR / 60)
    row = the_only(port, "endpoint.broken", "operator")
    standing = port.journal.row(select(t.endpoint))
    due = standing["next_at"]
    assert (standing["state"], standing["failures"]) == ("broken", courier.BREAK_AFTER)
    outcome = Outcome()
    for one in port.journal.rows(select(t.delivery).where(t.delivery.c.endpoint == "customs")):
        outcome.move("delivery", one["id"], (), next_at=port.now)  # it is the endpoint that they wait for
    port.journal.commit([outcome], port.now)
    sent: list[int] = []
    box.down = False
    port.outlets["customs"] = Counting(MemoryOutlet(box), sent)
    port.now = due - timedelta(seconds=2)
    port.run()
    assert sent == []
    port.now = due
    port.run()
    assert sent == [1, 1] and len(box.sent) == 2  # one trial, then the rest
    assert row["subject"] not in waiting(port) and port.column(t.endpoint, "state") == ["open"]


@dataclass
class Counting:
    """An outlet, and how many parcels each of its rounds had."""

    inner: MemoryOutlet
    rounds: list[int]
    money_safe: bool = True

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        self.rounds.append(len(parcels))
        return self.inner.send(parcels)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        return self.inner.probe(parcels)

    def close(self) -> None:
        self.inner.close()


def test_a_broken_endpoint_keeps_its_since_however_often_it_is_tried(port: Any) -> None:
    outlet(port, "customs", down=True)
    submit(port, cuscar("R1"))
    for _ in range(4):
        forward(port, HOUR / 4)
    first = waiting(port)["customs"]
    tries = port.journal.row(select(t.endpoint))["failures"]
    for _ in range(4):
        forward(port, HOUR / 4)
    again = waiting(port)["customs"]
    assert port.journal.row(select(t.endpoint))["failures"] > tries >= 3
    assert (again["since"], again["due_at"]) == (first["since"], first["due_at"])


def test_a_delivery_is_held_when_it_was_tried_for_as_long_as_agreed(port: Any) -> None:
    box = outlet(port, "customs", down=True)
    submit(port, cuscar("R1"))
    for _ in range(30):
        forward(port, HOUR)
    rows = waiting(port)
    codes = sorted(row["code"] for row in rows.values() if row["what"] != "case")
    assert codes == ["delivery.gave_up", "endpoint.broken"]
    [id] = [id for id, row in rows.items() if row["code"] == "delivery.gave_up"]
    assert state(port, t.delivery, id) == "held" and rows[id]["owner"] == "operator"
    box.down = False
    release(port, "customs")
    assert box.sent == [] and id in waiting(port)
    release(port, id)
    assert [parcel.delivery for parcel in box.sent] == [id]
    assert not {"customs", id} & waiting(port).keys()


def test_an_endpoint_that_is_not_who_it_should_be_is_held_and_loses_nothing(port: Any) -> None:
    box = outlet(port, "customs", Known.UNTRUSTED)
    submit(port, cuscar("R1"))
    row = the_only(port, "endpoint.untrusted", "operator")
    assert row["subject"] == "customs" and port.column(t.endpoint, "state") == ["held"]
    forward(port, HOUR / 4)
    submit(port, cuscar("R2", number="TJL2611239999"))
    assert box.sent == [] and list(waiting(port)) == ["customs"]
    release(port, "customs")
    assert len(box.sent) == 2 and waiting(port) == {}


def test_a_decision_during_a_round_ends_no_courier(port: Any) -> None:
    @dataclass
    class Decided(Counting):
        def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
            decisions.hold(port.site, port.journal, "customs", "LI", "in the middle of it", port.now)
            return self.inner.send(parcels)

    box = Memory(down=True)
    port.outlets["customs"] = Decided(MemoryOutlet(box), [])
    submit(port, cuscar("R1"))
    the_only(port, "endpoint.stopped", "operator")
    assert port.column(t.endpoint, "state") == ["held"]


def test_a_delivery_cancelled_before_the_courier_marks_it_ends_no_courier(port: Any, monkeypatch: Any) -> None:
    box = outlet(port, "customs")
    due = port.journal.due

    def cancelled(endpoint: str, now: Any, limit: int) -> Any:
        rows = due(endpoint, now, limit)
        for row in rows if endpoint == "customs" else ():
            decisions.cancel(port.journal, row["id"], "LI", "too late", now)
        return rows

    monkeypatch.setattr(port.journal, "due", cancelled)
    submit(port, cuscar("R1"))
    assert box.sent == [] and "cancelled" in port.column(t.delivery, "state")


# ---- in doubt, refused, answered at once


def resolve(port: Any, endpoint: str = "customs") -> None:
    rule = port.site.routes.endpoints[endpoint]
    courier.resolve(port.journal, port.outlets[endpoint], endpoint, rule, port.now)


def test_a_delivery_in_doubt_is_never_sent_again_blindly(port: Any) -> None:
    sent: list[int] = []
    box = outlet(port, "customs", Known.UNKNOWN, blind=True)
    port.outlets["customs"] = Counting(MemoryOutlet(box), sent)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.in_doubt", "operator")
    for _ in range(3):
        forward(port, 10 * HOUR)
        resolve(port)
    assert sent == [1] and waiting(port)[row["subject"]]["since"] == row["since"]


def test_evidence_ends_a_doubt(port: Any) -> None:
    box = outlet(port, "customs", Known.UNKNOWN)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.in_doubt", "operator")
    resolve(port)
    port.run()
    assert waiting(port) == {} and state(port, t.delivery, row["subject"]) == "sent"
    assert len(box.sent) == 1


def test_evidence_that_nothing_arrived_lets_it_go_again(port: Any) -> None:
    box = outlet(port, "customs", Known.UNKNOWN)
    submit(port, cuscar("R1"))
    box.sent.clear()  # it was lost on the way
    resolve(port)
    assert waiting(port) == {}
    forward(port, HOUR / 4)
    assert len(box.sent) == 1 and waiting(port) == {}


def test_an_answer_ends_a_doubt(port: Any) -> None:
    box = outlet(port, "customs", Known.UNKNOWN, blind=True)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.in_doubt", "operator")
    port.answer("CUSTOMS", "answer.xml", answer(box.sent[0].data))
    port.run()
    assert waiting(port) == {} and state(port, t.delivery, row["subject"]) == "answered"


def test_what_the_transport_refuses_is_dead_and_has_an_owner(port: Any) -> None:
    box = outlet(port, "customs", Known.REFUSED)
    submit(port, cuscar("R1"))
    row = the_only(port, "delivery.refused", "operator")
    assert state(port, t.delivery, row["subject"]) == "dead"
    forward(port, HOUR)
    assert box.sent == []
    decisions.resend(port.site, port.journal, row["subject"], "LI", "they have mended it", port.now)
    port.run()
    assert len(box.sent) == 1 and row["subject"] not in waiting(port)


def test_a_delivery_that_is_sent_again_gives_its_party_the_whole_time_to_answer(port: Any) -> None:
    outlet(port, "customs", Known.REFUSED)
    submit(port, cuscar("R1"))
    forward(port, HOUR)
    decisions.resend(port.site, port.journal, next(iter(waiting(port))), "LI", "mended", port.now)
    port.run()
    assert waiting(port) == {}


@dataclass
class Answering:
    """An agency that answers while it takes a delivery."""

    port: Any
    handovers: int = 0
    answers: dict[str, bytes] = field(default_factory=dict)
    money_safe: bool = True

    def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            self.handovers += 1
            signer = self.port.signers["CUSTOMS"]
            data = self.answers.setdefault(parcel.delivery, sign(answer(parcel.data).encode(), signer, self.port.now))
            yield Handover(parcel.delivery, Known.UNKNOWN if self.handovers == 1 else Known.DONE, "200", data)

    def probe(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
        for parcel in parcels:
            yield Handover(parcel.delivery, Known.DONE, "asked", self.answers[parcel.delivery])

    def close(self) -> None:
        """Nothing to release."""


def test_an_answer_given_in_the_handover_settles_the_delivery_once(port: Any) -> None:
    agency = Answering(port)
    port.outlets["customs"] = agency
    journal, rule = port.journal, port.site.routes.endpoints["customs"]
    port.submit("tjline", "a.edi", cuscar("R1"))
    port.now += timedelta(seconds=1)
    gate.gate_round(port.site, journal, port.inlets, port.now)
    journey.work(port.site, journal, port.numbers, port.now)
    courier.send(journal, agency, "customs", rule, port.now)
    courier.resolve(journal, agency, "customs", rule, port.now)  # shows the same answer once more
    port.run()
    customs = [row for row in journal.rows(select(t.interchange)) if row["party"] == "CUSTOMS"]
    assert len(customs) == 1 and port.column(t.receipt, "state") == ["matched"]
    assert agency.handovers == 1 and waiting(port) == {} and port.column(t.case, "outcome") == ["accepted"]


# ---- receipts


def test_an_orphan_waits_until_somebody_has_cleared_it_up(port: Any) -> None:
    submit(port, cuscar("R1"))
    asked = port.files("customs", "in")[0].read_bytes()
    port.answer("CUSTOMS", "a.xml", answer(re.sub(rb"E\d{9}", b"E999999999", asked)))
    port.run()
    row = the_only(port, "receipts.orphan", "operator")
    decisions.cancel(port.journal, row["subject"], "LI", "their test system", port.now)
    assert waiting(port) == {} and state(port, t.message, row["subject"]) == "done"


def test_a_contradiction_waits_and_the_first_answer_stands(port: Any) -> None:
    submit(port, cuscar("R1"))
    customs_says(port, "01")
    port.now += HOUR / 4
    customs_says(port, "03")
    row = the_only(port, "receipts.contradictory", "CUSTOMS")
    assert row["detail"].endswith("-CUSTOMS") and state(port, t.delivery, row["detail"]) == "answered"
    decisions.cancel(port.journal, row["subject"], "LI", "they took it back", port.now)
    assert waiting(port) == {}


# ---- interchanges, and steps that break the worker


def test_another_content_under_a_known_reference_waits_for_its_sender(port: Any) -> None:
    submit(port, cuscar("R1"))
    submit(port, cuscar("R1", weight="8999"))
    row = the_only(port, "opening.conflict", "sender")
    assert state(port, t.interchange, row["subject"]) == "conflict"
    decisions.cancel(port.journal, row["subject"], "LI", "told on the telephone", port.now)
    assert waiting(port) == {}


def restarted(port: Any) -> None:
    """The worker's process has died and another one begins."""
    port.journal.close()
    name = f"worker-{port.now:%d%H%M%S%f}"
    port.journal = Journal(port.folder / "spool", name)
    port.numbers = Numbers(port.journal)
    port.now += timedelta(seconds=1)
    port.journal.take_back()


def until_calm(port: Any, deaths: int = 20) -> int:
    """Run and restart until nothing breaks; how often it broke."""
    for broke in range(deaths):
        try:
            port.run()
            return broke
        except ZeroDivisionError:
            restarted(port)
    raise AssertionError("it does not come to rest")


def test_an_interchange_that_breaks_the_worker_is_quarantined_and_harms_no_other(port: Any, monkeypatch: Any) -> None:
    planted, real = b"KGM:6666", opening.open

    def open_(site: Any, interchange: Any, data: bytes, now: Any) -> Any:
        return 1 / 0 if planted in data else real(site, interchange, data, now)

    monkeypatch.setattr(opening, "open", open_)
    files = [cuscar(f"R{at}", number=f"TJL26112399{at:02}") for at in range(6)]
    poison = cuscar("R9", weight="6666", number="TJL2611238888")
    for at, data in enumerate([*files[:3], poison, *files[3:]]):
        port.submit("tjline", f"{at}.edi", data)
    assert until_calm(port) == 3  # once in the batch with the others, twice alone
    row = the_only(port, "opening.poison", "operator")
    i = t.interchange
    assert port.journal.row(select(i).where(i.c.id == row["subject"]))["state"] == "quarantined"
    assert port.column(i, "state").count("opened") == 6 and len(port.files("customs", "in")) == 6
    monkeypatch.setattr(opening, "open", real)
    release(port, row["subject"])
    assert waiting(port) == {} and len(port.files("customs", "in")) == 7


def test_a_case_that_breaks_the_worker_waits_and_harms_no_other(port: Any, monkeypatch: Any) -> None:
    real = cases.advance_one

    def advance(desk: Any, id: str) -> Any:
        return 1 / 0 if id.endswith("8888") else real(desk, id)

    monkeypatch.setattr(cases, "advance_one", advance)
    for at, number in enumerate(("TJL2611239990", "TJL2611238888", "TJL2611239991")):
        port.submit("tjline", f"{at}.edi", cuscar(f"R{at}", number=number))
    assert until_calm(port) == 3
    row = the_only(port, "opening.poison", "operator")
    assert row["what"] == "case" and row["subject"].endswith("8888")
    assert sorted(len(row["stages"]) for row in port.journal.rows(select(t.case))) == [0, 1, 1]
    monkeypatch.setattr(cases, "advance_one", real)
    release(port, row["subject"])
    assert waiting(port) == {}
    assert sorted(len(row["stages"]) for row in port.journal.rows(select(t.case))) == [1, 1, 1]


def test_a_case_document_that_cannot_be_made_waits_until_an_amendment_makes_it(port: Any) -> None:
    mapping = "mappings/vessel/cusrep-paxlst--to--vessel-declaration.yaml"
    text = (port.folder / mapping).read_text("utf-8")
    line = re.search(r"\n +IMO: .*", text)
    assert line
    declare(
        port, mapping, line[0], f'{line[0][: line[0].index(":")]}: {{from: "call:SG8/TDT[8051=20]/8028", as: trim}}'
    )
    port.submit("bohai", "call.edi", ARRIVAL)
    port.run()
    the_only(port, "case.not_made", "integrator")
    assert port.files("customs", "in") == []
    (port.folder / mapping).write_text(text, "utf-8")
    port.site = load(port.folder, port.site.register, port.site.signer)
    port.submit("bohai", "again.edi", AMENDED_CALL)
    port.run()
    assert waiting(port) == {} and len(port.files("maritime", "in")) == 1


def test_an_adapter_that_breaks_leaves_its_deliveries_to_evidence(port: Any) -> None:
    @dataclass
    class Broken(Counting):
        def send(self, parcels: Sequence[Parcel]) -> Iterator[Handover]:
            list(self.inner.send(parcels))
            raise ZeroDivisionError

    box = Memory()
    port.outlets["customs"] = Broken(MemoryOutlet(box), [])
    with pytest.raises(OutcomeUnknown, match="ZeroDivisionError"):
        submit(port, cuscar("R1"))
    assert "sending" in port.column(t.delivery, "state")
    resolve(port)
    port.outlets["customs"] = MemoryOutlet(box)
    port.run()
    assert "sending" not in port.column(t.delivery, "state") and len(box.sent) == 1


# ---- fairness


def test_a_flood_of_one_party_delays_no_other_by_more_than_a_batch(port: Any) -> None:
    inlet, journal = Memory(), port.journal
    for at in range(500):
        inlet.put(f"{at}.edi", cuscar(f"R{at}", number=f"TJL26112{at:05}").replace(b"TJLINE", b"NOBODY"))
    from adapters.memory import MemoryInlet
    from hub import intake

    for _ in range(10):
        intake.accept(MemoryInlet(inlet), journal, "tjline", "TJLINE", 1_000_000, port.now)
    port.submit("bohai", "call.edi", ARRIVAL)
    port.now += timedelta(seconds=1)
    gate.gate_round(port.site, journal, port.inlets, port.now)
    assert journal.backlog() == {"TJLINE": 500, "BOHAI": 1}
    journey.work(port.site, journal, port.numbers, port.now)
    assert journal.backlog() == {"TJLINE": 500 - journey.BATCH + 1}


def test_above_its_backlog_a_party_waits_at_its_source(port: Any) -> None:
    declare(port, "routes.yaml", "role: carrier, at: tjline", "role: carrier, at: tjline, backlog: 60")
    for at in range(150):
        port.submit("tjline", f"{at:03}.edi", b"UNB+UNOA:3+TJLINE+TJEPORT+261123:0810+%d'UNZ+0+%d'" % (at, at))
    port.submit("bohai", "call.edi", ARRIVAL)
    for _ in range(5):
        port.now += timedelta(seconds=1)
        gate.gate_round(port.site, port.journal, port.inlets, port.now)
    waits = port.journal.backlog()
    assert 60 <= waits["TJLINE"] < 60 + 50 and waits["BOHAI"] == 1
    assert len(port.files("tjline", "outbound")) == 150 - waits["TJLINE"]
    port.run()
    assert port.files("tjline", "outbound") == []
