"""The bench: places as the browser counts them, a mapping that is being written, and the server on the loopback."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli import app
from hub.edifact.model import Separators
from hub.finding import Place
from hub.site.load import load
from hub.site.site import Site
from hub.workshop.bench import Bench, text_of
from hub.workshop.draft import Drafts
from hub.workshop.server import MOST_BYTES, Workshop
from hub.workshop.spans import Sheet

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
CASES = ROOT / "mappings/manifest/cases"
NAME = "mappings/manifest/cuscar-d95b--to--manifest.yaml"
MAPPING = (ROOT / NAME).read_text("utf-8")
SOURCE, CODEC = text_of((CASES / "01-original/in.edi").read_bytes())


@pytest.fixture(scope="module")
def site() -> Site:
    return load(ROOT)


def bench(site: Site, name: str = NAME, source: str = "in.edi", codec: str = CODEC, lang: str = "en") -> Bench:
    return Bench(Drafts.of(site, name), source, codec, lang)


def work(site: Site, source: str = SOURCE, mapping: str = MAPPING) -> dict[str, Any]:
    return bench(site).work(source, mapping, NOW)


def field(made: dict[str, Any], target: str) -> dict[str, Any]:
    [one] = [one for one in made["fields"] if one["target"] == target]
    assert isinstance(one, dict)
    return one


def meant(made: dict[str, Any], pane: str, text: str, at: int) -> list[str]:
    """What is said of the character `at` of `text`."""
    rows = made["meanings"][pane]
    return [made["meanings"]["texts"][said] for start, end, said in rows if start <= at < end]


# ---- places


def test_parts_of_a_segment_go_by_the_signs_that_are_not_released() -> None:
    text = "FTX+AAA+++WOMEN?'S?+:X'\nBGM+9'"
    parts = Sheet(text, text.encode(), separators=Separators()).parts
    assert [(p.tag, p.element, p.component, p.value) for p in parts if p.value] == [
        ("FTX", 0, 0, "FTX"),
        ("FTX", 1, 1, "AAA"),
        ("FTX", 4, 1, "WOMEN?'S?+"),
        ("FTX", 4, 2, "X"),
        ("BGM", 0, 0, "BGM"),
        ("BGM", 1, 1, "9"),
    ]
    assert [text[p.start : p.end] for p in parts] == [p.value for p in parts]


def test_a_place_counts_as_the_browser_does() -> None:
    text = "<a>港🚢<b>船</b></a>"
    place = Place(offset=text.encode().index("船".encode()))
    assert Sheet(text, text.encode()).at(place) == (9, 10)  # the ship before it takes two units
    gb = "NAD+CA+港口'"
    there = Place(tag="NAD", element=2, component=1, offset=7)
    assert Sheet(gb, gb.encode("gb18030"), "gb18030", Separators()).at(there) == (7, 9)


def test_a_whole_composite_is_lit_as_a_whole(site: Site) -> None:
    [[start, end, path]] = field(work(site), "Manifest/ArrivalAt")["sources"]
    assert (SOURCE[start:end], path) == ("132:202611241200:203", "SG1/DTM C507")


# ---- the bench


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (NAME, "01-original/in.edi"),
        ("mappings/manifest/manifest--to--coprar-d95b.yaml", "01-original/in.edi"),
        ("mappings/manifest/manifest--to--customs-manifest.yaml", "01-original/in.edi"),
        ("mappings/manifest/manifest--to--container-list.yaml", "05-json/in.json"),
    ],
)
def test_every_value_has_its_place_in_the_output(site: Site, name: str, file: str) -> None:
    text, codec = text_of((CASES / file).read_bytes())
    made = bench(site, name, Path(file).name, codec).work(text, (ROOT / name).read_text("utf-8"), NOW)
    assert len(made["fields"]) > 10 and made["findings"] == []
    for one in made["fields"]:
        start, end = one["out"]
        assert made["output"][start:end].strip('"') == one["value"]


def test_a_value_is_followed_to_the_file_over_the_document_between(site: Site) -> None:
    name = "mappings/manifest/manifest--to--customs-manifest.yaml"
    made = bench(site, name).work(SOURCE, (ROOT / name).read_text("utf-8"), NOW)
    one = field(made, "CustomsManifest/Head/ShipIMO")
    [[start, end, _]] = one["sources"]
    [line] = one["lines"]
    assert SOURCE[start:end] == one["value"] == "9100310" and SOURCE[:start].count("\n") == 7
    assert (ROOT / name).read_text("utf-8").splitlines()[line - 1].strip().startswith("ShipIMO:")


def test_the_output_follows_the_mapping_and_the_source(site: Site) -> None:
    made = work(
        site, SOURCE.replace("0126W", "0999E"), MAPPING.replace("Port: SG1/LOC[3227=11]", "Port: SG1/LOC[3227=9]")
    )
    assert field(made, "Manifest/Voyage")["value"] == "0999E"
    assert field(made, "Manifest/Port")["value"] == "KRPUS"
    assert field(work(site), "Manifest/Port")["value"] == "CNTXG"  # nothing of it stays


def test_the_site_is_left_as_it_was(site: Site) -> None:
    before = dict(site.mappings)
    work(site, mapping=MAPPING.replace("Voyage: ", "Voyage: =0 # "))
    assert site.mappings == before


def test_a_mistake_in_the_mapping_is_told_at_its_line(site: Site) -> None:
    made = work(site, mapping=MAPPING.replace("Number: BGM/1004", "Number: BGM/9999"))
    line = MAPPING[: MAPPING.index("Number: BGM")].count("\n") + 1
    assert [(one["pane"], one["line"]) for one in made["findings"]] == [("mapping", line)]
    assert not made["made"] and made["output"] == ""


def test_a_value_that_cannot_be_mapped_is_told_at_its_rule(site: Site) -> None:
    made = work(
        site, mapping=MAPPING.replace("Voyage: SG1/TDT[8051=20]/8028", "Voyage: {from: BGM/1004, as: imo-number}")
    )
    line = MAPPING[: MAPPING.index("Voyage: ")].count("\n") + 1
    said = [(one["pane"], one["line"]) for one in made["findings"] if one["code"] == "mapping.value"]
    assert said == [("mapping", line)]


def test_what_the_check_foresees_is_told_while_the_output_stands(site: Site) -> None:
    made = work(site, mapping=MAPPING.replace("reject: [missing, form, long]", ""))
    assert made["made"] and {one["pane"] for one in made["findings"]} == {"mapping"}
    assert any(one["line"] for one in made["findings"])
    assert all(one["line"] or one["where"].startswith("mappings/fragments/") for one in made["findings"])


def test_a_mistake_in_the_source_is_told_at_its_place(site: Site) -> None:
    made = work(site, SOURCE.replace("EQD+CN+CSQU3054383", "EQD+ZZ+CSQU3054383"))
    spans = [SOURCE[: one["span"][0]].count("\n") for one in made["findings"] if one["pane"] == "source"]
    assert SOURCE[: SOURCE.index("EQD+CN+CSQU")].count("\n") in spans


def test_what_the_standards_say_of_a_place(site: Site) -> None:
    made = work(site)
    at = SOURCE.index("BUSAN TEXTILE")
    assert meant(made, "source", SOURCE, SOURCE.index("NAD+CZ")) == ["NAD · NAME AND ADDRESS"]
    [code] = meant(made, "source", SOURCE, SOURCE.index("CZ+++BUSAN"))
    assert code.splitlines()[1:] == ["3035 · Party qualifier · an..3", "CZ = Consignor"]
    assert "C080 · PARTY NAME" in meant(made, "source", SOURCE, at)[0].upper()
    [said] = meant(made, "output", made["output"], made["output"].index("<Number>"))
    assert said.splitlines() == ["Manifest/Number", "舱单号 Number of the manifest"]


def test_the_words_are_in_the_language_that_was_asked_for(site: Site) -> None:
    made = bench(site, lang="zh").work("", MAPPING, NOW)
    assert any("\u4e00" <= sign <= "\u9fff" for sign in made["findings"][0]["text"])


@pytest.mark.parametrize(
    "mapping",
    [
        "",
        "\0",
        "\ud800",
        "{",
        "- a",
        "from: a\nto: b",
        "from: {}\nto: manifest\ndocument: {Manifest: {}}",
        "from: cuscar-d95b\nto: manifest\ndocument: {Manifest: BGM}",
        "from: cuscar-d95b\nto: nothing\ndocument: {Other: {A: BGM/1004}}",
        "from: cuscar-d95b\nto: manifest\nsplit: SG99\ndocument: {Manifest: {Number: ???}}",
        MAPPING + "\n  Manifest: {}",
        "a: " * 200,
    ],
)
def test_no_mapping_raises(site: Site, mapping: str) -> None:
    made = work(site, mapping=mapping)
    assert made["findings"] and json.dumps(made)


@pytest.mark.parametrize("source", ["", "\0", "\ud800", "UNB", "UNA:+.? '", "<a", "<a/>", "{}", "港口", SOURCE[:400]])
def test_no_source_raises(site: Site, source: str) -> None:
    made = work(site, source)
    assert not made["made"] and made["findings"] and json.dumps(made)


# ---- the server


@pytest.fixture(scope="module")
def served(site: Site) -> Iterator[Workshop]:
    with Workshop(bench(site), SOURCE, MAPPING) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Workshop, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
    """(status, headers, body); `_` in the name of a header stands for `-`."""
    line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        line.request("GET" if body is None else "POST", path, body, named)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        line.close()


def work_of(server: Workshop, body: Any, **headers: str) -> tuple[int, Any, bytes]:
    given = {"Content_Type": "application/json", **headers}
    return ask(server, f"/{server.token}/work", body if isinstance(body, bytes) else json.dumps(body).encode(), **given)


def test_the_page_carries_the_texts_and_loads_nothing_from_elsewhere(served: Workshop) -> None:
    status, headers, body = ask(served, f"/{served.token}/")
    page = body.decode()
    assert status == 200 and "WOMEN?&#x27;S COATS" in page and "Number: BGM/1004" in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert (
        "frame-ancestors 'none'" in headers["Content-Security-Policy"] and headers["Referrer-Policy"] == "no-referrer"
    )
    files = [ask(served, f"/{served.token}/{name}")[2].decode() for name in ("page.css", "page.js")]
    assert all(files) and not any("http" in text for text in (page, *files))
    assert " style=" not in page and "onclick=" not in page


def test_it_is_there_for_this_machine_only(served: Workshop) -> None:
    assert served.server_address[0] == "127.0.0.1" and len(served.token) >= 32
    assert served.url == f"http://127.0.0.1:{served.server_port}/{served.token}/"


def test_a_question_is_answered(served: Workshop) -> None:
    status, headers, body = work_of(served, {"source": SOURCE, "mapping": MAPPING})
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert json.loads(body)["output"].count("<Consignment>") == 2


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 404),
        ("/{token}", {}, 404),
        ("/{wrong}/", {}, 404),
        ("/%2e/{token}/", {}, 404),
        ("/{token}/../server.py", {}, 404),
        ("/{token}/server.py", {}, 404),
        ("/{token}/work", {}, 404),
        ("/{token}/", {"Host": "localhost"}, 403),
        ("/{token}/", {"Host": "evil.example"}, 403),
        ("/{token}/", {"Host": ""}, 403),
        ("/{token}/", {"Origin": "http://evil.example"}, 403),
        ("/{token}/", {"Origin": "null"}, 403),
    ],
)
def test_nobody_else_gets_in(served: Workshop, path: str, headers: dict[str, str], status: int) -> None:
    told, _, body = ask(served, path.format(token=served.token, wrong="x" * 32), **headers)
    assert (told, body) == (status, b"")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"\xff", {}, 400),
        ([], {}, 400),
        ({"source": ""}, {}, 400),
        ({"source": 1, "mapping": ""}, {}, 400),
        ({"source": "", "mapping": ""}, {"Content_Type": "text/plain"}, 404),
        ({"source": "", "mapping": ""}, {"Host": "evil.example"}, 403),
        (b"", {"Content_Length": str(MOST_BYTES + 1)}, 413),
        (b"", {"Content_Length": "9" * 5000}, 413),
        (b"", {"Content_Length": "-1"}, 411),
    ],
)
def test_what_is_no_question_is_refused(served: Workshop, body: Any, headers: dict[str, str], status: int) -> None:
    assert work_of(served, body, **headers)[0] == status
    assert work_of(served, {"source": "", "mapping": ""})[0] == 200


# ---- the command


def play(site: Site, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    monkeypatch.setattr("hub.cli.play.load_site", lambda _: site)
    return CliRunner().invoke(app, ["play", *words])


def test_a_mapping_that_is_not_there_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    said = play(site, monkeypatch, "nothing")
    assert said.exit_code == 2 and "cuscar-d95b--to--manifest" in said.stderr


def test_a_port_that_is_taken_is_told(site: Site, served: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    said = play(site, monkeypatch, "customs-manifest", "--port", str(served.server_port))
    assert said.exit_code == 2 and f"127.0.0.1:{served.server_port}" in said.stderr


def test_a_mapping_begins_with_the_first_case_that_it_makes_something_of(site: Site) -> None:
    from hub.cli.play import _case, _rules

    assert _case(site, _rules(site, "coprar-d95b")) == CASES / "01-original/in.edi"
    assert _case(site, _rules(site, "vessel-declaration--to--crew-report")) is not None
