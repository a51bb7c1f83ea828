"""The commands of operator and integrator: what they print, what they exit with, and that they never fall over."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from hub import courier, journey
from hub.cli import main
from hub.contract import Ground, closing
from hub.engine import ends, gate, identity
from hub.errors import DeclarationError
from hub.finding import rejects
from hub.journal import tables as t
from hub.journal.changes import Outcome
from hub.journal.journal import Journal
from hub.journal.numbers import Numbers
from hub.journal.schema import upgrade
from hub.judging import judge
from hub.sandbox.ground import folders_only, prepare
from hub.site.load import load

ROOT = Path(__file__).parents[3]
MANIFEST = ROOT / "mappings" / "manifest" / "cases" / "01-original" / "in.edi"
AMENDMENT = ROOT / "mappings" / "manifest" / "cases" / "02-amendment" / "in.edi"
BROKEN = ROOT / "mappings" / "manifest" / "cases" / "04-broken" / "in.edi"
CALL = ROOT / "mappings" / "vessel" / "cases" / "01-arrival" / "in.edi"
NOW = datetime.now(UTC)


class Said:
    """What one command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def eport(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Call the command as its entry point does, in this process, with its output in a pipe."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["eport", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Said(int(ended.value.code or 0), told.out, told.err)

    return call


def site_in(folder: Path) -> Path:
    """The reference site with a folder for every endpoint, its keys, and an empty journal."""
    prepare(ROOT, folder)
    (folder / "routes.yaml").write_text(folders_only((ROOT / "routes.yaml").read_text("utf-8")), "utf-8")
    for party in ("bohai", "tjline"):
        for way in ("outbound", "inbound", "error"):
            (folder / "spool" / "boxes" / party / way).mkdir(parents=True)
    for agency in ("inspection", "border"):
        for way in ("in", "out"):
            (folder / "spool" / "boxes" / agency / way).mkdir(parents=True)
    journal = Journal(folder / "spool", "prepare")
    upgrade(journal.engine)
    journal.close()
    return folder


def work(folder: Path) -> None:
    """Take in what lies there, open it, send it."""
    site = identity.ready(load(folder), folder)
    ground, journal = Ground(folder, folder / "spool"), Journal(folder / "spool", "worker")
    inlets = ends.inlets(site, ground)
    numbers = Numbers(journal)
    now = datetime.now(UTC)
    while gate.gate_round(site, journal, inlets, now) + journey.work(site, journal, numbers, now):
        pass
    for name, rule in site.routes.endpoints.items():
        out = ends.outlet(site, name, ground)
        while out is not None and courier.send(journal, out, name, rule, now):
            pass
        closing([out])
    closing([*inlets.values(), journal])


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that has taken in a manifest, a call, a broken file, and an amendment that amends nothing."""
    folder = site_in(tmp_path_factory.mktemp("busy"))
    lost = AMENDMENT.read_bytes().replace(b"TJL2611230001", b"TJL2611230777")
    for party, name, data in (
        ("tjline", "mft.edi", MANIFEST.read_bytes()),
        ("bohai", "call.edi", CALL.read_bytes()),
        ("tjline", "bad.edi", BROKEN.read_bytes()),
        ("tjline", "lost.edi", lost),
    ):
        (folder / "spool" / "boxes" / party / "outbound" / name).write_bytes(data)
    work(folder)
    return folder


@pytest.fixture
def site(busy: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(busy, tmp_path / "site", dirs_exist_ok=True, ignore=shutil.ignore_patterns("run"))
    return tmp_path / "site"


def ids(folder: Path, table: object, **values: str) -> list[str]:
    journal = Journal(folder / "spool", "test")
    try:
        where = [table.c[name] == value for name, value in values.items()]  # type: ignore[attr-defined]
        return [row["id"] for row in journal.rows(select(table).where(*where))]  # type: ignore[call-overload]
    finally:
        journal.close()


def put(folder: Path, id: str, **values: object) -> None:
    """Change a delivery as if something had happened to it."""
    journal, outcome = Journal(folder / "spool", "test"), Outcome()
    outcome.move("delivery", id, (), **values)
    journal.commit([outcome], NOW)
    journal.close()


# ---- reading


READING = [
    ("check",),
    ("status",),
    ("held",),
    ("held", "--owner", "sender"),
    ("held", "--owner", "NOBODY"),
    ("trace", "mft.edi"),
    ("trace", "TJL2611230001"),
    ("trace", "nothing-like-it"),
    ("resend", "mft.edi", "--plan"),
    ("validate", str(MANIFEST)),
    ("validate", str(BROKEN)),
    ("cert", "list"),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_every_reading_command_gives_one_json_document(eport, busy: Path, words: tuple[str, ...]) -> None:
    said = eport(*words, "--site", busy, "--json")
    assert isinstance(json.loads(said.out), dict | list)
    assert said.code in (0, 1) and said.err == ""


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(
    "words", [words for words in READING if words[0] not in ("status", "resend", "cert")], ids=" ".join
)
def test_plain_output_in_a_pipe_is_plain_in_both_languages(
    eport, busy: Path, words: tuple[str, ...], lang: str
) -> None:
    said = eport(*words, "--site", busy, "--lang", lang)
    assert "\x1b" not in said.out + said.err
    assert said.code in (0, 1)


@pytest.mark.parametrize("words", [("status",), ("resend", "mft.edi", "--plan"), ("cert", "list")], ids=" ".join)
def test_tables_in_a_pipe_are_plain(eport, busy: Path, words: tuple[str, ...]) -> None:
    said = eport(*words, "--site", busy)
    assert said.code == 0 and said.out and "\x1b" not in said.out


def chinese(text: str) -> bool:
    return any("一" <= char <= "鿿" for char in text)


def test_each_language_speaks_only_itself(eport, busy: Path) -> None:
    for words in (("held",), ("validate", BROKEN), ("trace", "lost.edi"), ("trace", "nothing-like-it")):
        english, other = (eport(*words, "--site", busy, "--lang", lang) for lang in ("en", "zh"))
        assert not chinese(english.out + english.err), words
        assert chinese(other.out + other.err), words


def test_the_language_comes_from_the_environment(eport, busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPORT_LANG", "zh_CN.UTF-8")
    assert chinese(eport("validate", BROKEN, "--site", busy).out)
    assert chinese(eport("held", "--site", busy).out)
    assert not chinese(eport("held", "--site", busy, "--lang", "en").out)


def test_the_list_says_what_waits_for_whom_and_why(eport, busy: Path) -> None:
    [row] = json.loads(eport("held", "--site", busy, "--json", "--lang", "en").out)
    assert (row["code"], row["owner"], row["overdue"]) == ("routing.amends_nothing", "sender", False)
    assert "TJL2611230777" in row["why"] and row["remedy"]
    [line] = eport("held", "--site", busy, "--lang", "en").out.splitlines()
    assert line.split("\t")[:2] == [row["subject"], "sender"]


def test_counts_add_up(eport, busy: Path) -> None:
    counts = json.loads(eport("status", "--site", busy, "--json").out)
    counts = counts.get("counts", counts)
    assert counts["interchange"] == {"opened": 3, "rejected": 1}
    assert counts["message"]["held"] == 1


def test_the_site_of_the_environment_is_taken(eport, busy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPORT_SITE", str(busy))
    assert eport("trace", "mft.edi").code == 0


# ---- exit codes


def test_a_correct_file_exits_with_0_and_a_wrong_one_with_1(eport, busy: Path) -> None:
    assert eport("validate", MANIFEST, "--site", busy).code == 0
    assert eport("validate", BROKEN, "--site", busy).code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("held",),
        ("trace", "x"),
        ("cancel", "x", "--by", "LI"),
        ("settle", "x", "--arrived", "--by", "LI", "--and-by", "WANG"),
        ("status", "--json"),
    ],
    ids=" ".join,
)
def test_without_a_journal_there_is_nothing_to_read(eport, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = eport(*words, "--site", tmp_path)
    assert said.code == 2 and "no journal" in said.err and said.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--json"),
        ("validate", str(MANIFEST)),
        ("translate", str(MANIFEST), "--to", "coprar-d95b"),
        ("run", "worker"),
        ("up",),
        ("release", "x", "--by", "LI"),
        ("resend", "x"),
        ("hold", "customs", "--by", "LI"),
        ("send", str(MANIFEST), "--as", "TJLINE"),
    ],
    ids=lambda words: " ".join(words[:1]),
)
@pytest.mark.parametrize("site", ["missing", "empty", "not yaml", "wrong", "a file"])
def test_a_site_that_cannot_be_used_is_unusable_input(eport, tmp_path: Path, words: tuple[str, ...], site: str) -> None:
    folder = tmp_path / "site"
    if site == "a file":
        folder.write_text("port: TJEPORT\n")
    elif site != "missing":
        folder.mkdir()
    if site == "not yaml":
        (folder / "routes.yaml").write_text("port: [TJEPORT\n  - {", "utf-8")
    if site == "wrong":
        (folder / "routes.yaml").write_text("port: TJEPORT\nportal: yes\n", "utf-8")
    before = sorted(tmp_path.rglob("*"))
    said = eport(*words, "--site", folder)
    assert said.code == 2 and (said.out or said.err)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [("validate",), ("translate", "--to", "manifest"), ("send", "--as", "TJLINE")])
@pytest.mark.parametrize("file", ["missing.edi", "."])
def test_a_file_that_cannot_be_read_is_unusable_input(
    eport, busy: Path, tmp_path: Path, words: tuple[str, ...], file: str
) -> None:
    said = eport(words[0], tmp_path / file, *words[1:], "--site", busy)
    assert said.code == 2 and str(tmp_path) in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("run", "wroker"),
        ("release", "x"),  # nobody decides
        ("settle", "x", "--by", "LI", "--and-by", "WANG"),  # nobody says whether it arrived
        ("settle", "x", "--arrived", "--by", "LI"),
        ("send", str(MANIFEST), "--as", "NOBODY"),
        ("no-such-command",),
        ("status", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_with_2(eport, busy: Path, words: tuple[str, ...]) -> None:
    said = eport(*words, *(() if words[0] == "no-such-command" else ("--site", busy)))
    assert said.code == 2 and said.err


@pytest.mark.parametrize("command", ["release", "cancel", "settle"])
def test_what_nobody_knows_cannot_be_decided(eport, busy: Path, command: str) -> None:
    extra = ("--arrived", "--and-by", "WANG") if command == "settle" else ()
    said = eport(command, "nothing-like-it", "--by", "LI", *extra, "--site", busy)
    assert said.code == 1 and "nothing-like-it" in said.err
    assert eport("resend", "nothing-like-it", "--by", "LI", "--site", busy).code == 1
    assert eport("trace", "nothing-like-it", "--site", busy).code == 1


def test_a_file_is_not_sent_when_no_hub_runs(eport, tmp_path: Path) -> None:
    prepare(ROOT, tmp_path)
    said = eport("send", MANIFEST, "--as", "TJLINE", "--site", tmp_path)
    assert said.code == 3 and "hub must run" in said.err


def test_a_file_is_sent_into_a_folder(eport, site: Path) -> None:
    said = eport("send", MANIFEST, "--as", "TJLINE", "--name", "mine.edi", "--site", site)
    assert said.code == 0 and "eport trace mine.edi" in said.out
    assert (site / "spool" / "boxes" / "tjline" / "outbound" / "mine.edi").read_bytes() == MANIFEST.read_bytes()


@pytest.mark.parametrize("damage", [b"this is no database at all, only text" * 100, b""])
def test_a_journal_that_cannot_be_read_is_said_to_be_so(eport, site: Path, damage: bytes) -> None:
    for file in (site / "spool").glob("journal.db*"):
        file.unlink()
    (site / "spool" / "journal.db").write_bytes(damage)
    for words in (("status",), ("held",), ("trace", "x"), ("cancel", "x", "--by", "LI")):
        assert eport(*words, "--site", site).code == 3, words


# ---- deciding


def test_a_plan_changes_nothing(eport, site: Path) -> None:
    [id] = ids(site, t.delivery, party="CUSTOMS", kind="customs-manifest")
    before = (site / "spool" / "journal.db").read_bytes()
    said = eport("resend", "mft.edi", "--plan", "--json", "--site", site)
    rows = {row["delivery"]: row["now"] for row in json.loads(said.out)}
    assert said.code == 0 and rows[id] == "would be sent again"
    assert (site / "spool" / "journal.db").read_bytes() == before
    assert ids(site, t.delivery, id=id, state="sent") == [id]


def test_sending_again_asks_for_a_name_and_then_does_it(eport, site: Path) -> None:
    [id] = ids(site, t.delivery, party="CUSTOMS", kind="customs-manifest")
    nameless = eport("resend", id, "--site", site)
    assert nameless.code == 2 and "--by" in nameless.err
    said = eport("resend", id, "--by", "LI", "--why", "lost", "--json", "--site", site)
    assert [(row["delivery"], row["was"], row["now"]) for row in json.loads(said.out)] == [(id, "sent", "pending")]
    assert ids(site, t.delivery, id=id, state="pending") == [id]
    told = eport("trace", id, "--site", site, "--lang", "en").out
    assert "decision=resend by=LI why=lost" in told


def test_an_empty_reference_sends_nothing_again(eport, site: Path) -> None:
    said = eport("resend", "", "--by", "LI", "--site", site)
    assert said.code == 1 and said.out == ""


def test_what_is_decided_is_told_and_done(eport, site: Path) -> None:
    [held] = ids(site, t.message, state="held")
    assert eport("cancel", held, "--by", "LI", "--site", site).out == f"{held} cancelled\n"
    assert eport("held", "--site", site).out == ""
    assert eport("hold", "customs", "--by", "LI", "--why", "they asked", "--site", site).out == "customs held\n"
    assert "LI: they asked" in eport("held", "--site", site, "--lang", "en").out
    assert eport("release", "customs", "--by", "LI", "--site", site).out == "customs open\n"
    [id] = ids(site, t.delivery, party="TERMINAL")
    put(site, id, state="in_doubt")
    both = ("--by", "LI", "--and-by", "WANG")
    assert eport("settle", id, "--not-arrived", *both, "--site", site).out == f"{id} pending\n"


@pytest.mark.parametrize("command", ["release", "cancel", "settle"])
def test_what_cannot_be_decided_now_is_refused_with_the_reason(eport, busy: Path, command: str) -> None:
    [id] = ids(busy, t.delivery, party="CUSTOMS", kind="customs-manifest")
    extra = ("--arrived", "--and-by", "WANG") if command == "settle" else ()
    said = eport(command, id, "--by", "LI", *extra, "--site", busy)
    assert said.code == 3 and f"{id} is sent" in said.err and said.out == ""


def test_an_endpoint_that_the_site_lacks_cannot_be_held(eport, busy: Path) -> None:
    said = eport("hold", "custons", "--by", "LI", "--site", busy)
    assert said.code == 1 and "custons" in said.err and "customs" in said.err


# ---- translating


REFERENCE = load(ROOT)


def reachable() -> list[tuple[Path, str]]:
    """Every golden input that is in order, with every kind that a mapping can make of it."""
    found = []
    for file in sorted(ROOT.glob("mappings/*/cases/*/in.edi")):
        verdict = judge(REFERENCE, file.read_bytes())
        have = {message.usage.name for message in verdict.messages if message.usage}
        if verdict.word == "rejected":
            continue
        made: set[str] = set()
        while fresh := {kind for of, kind in REFERENCE.mappings if have.issuperset(of.split(","))} - made:
            found += [(file, kind) for kind in sorted(fresh)]
            made |= fresh
            have |= fresh
    return found


def test_every_mapping_of_the_reference_site_is_reached() -> None:
    targets = {kind for _, kind in REFERENCE.mappings} - {"cusres-d96b"}  # made of a case, never of a file
    assert {kind for _, kind in reachable()} == targets


@pytest.mark.parametrize(
    ("file", "kind"), reachable(), ids=lambda one: one if isinstance(one, str) else one.parent.name
)
def test_a_translation_is_in_order_itself(eport, tmp_path: Path, file: Path, kind: str) -> None:
    said = eport("translate", file, "--to", kind, "--site", ROOT)
    assert said.code == 0
    name = REFERENCE.kinds[kind].rule.names.replace("*", "list")  # by which CSV and flat records are known
    made = judge(REFERENCE, said.out.encode(), "CUSTOMS", name)  # whose character set is that of all readers
    assert [message.usage and message.usage.name for message in made.messages] == [kind]
    assert not rejects([finding for finding in made.findings if finding.code != "opening.sender_mismatch"])


@pytest.mark.parametrize("kind", ["no-such-kind", "health-report", "contrl"])
def test_what_cannot_be_made_of_a_file_is_said_with_the_reason(eport, kind: str) -> None:
    said = eport("translate", MANIFEST, "--to", kind, "--site", ROOT, "--lang", "en")
    assert said.code == 1 and kind in said.out


def test_a_rejected_file_is_not_translated(eport) -> None:
    said = eport("translate", BROKEN, "--to", "coprar-d95b", "--site", ROOT, "--lang", "en")
    assert said.code == 1 and "[edifact." in said.out and "COPRAR" not in said.out


# ---- a new site, certificates


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_site_is_in_order_and_a_second_init_keeps_what_is_there(eport, tmp_path: Path) -> None:
    folder = tmp_path / "port"
    first = eport("init", folder)
    assert first.code == 0 and "routes.yaml" in first.out
    assert eport("check", "--site", folder).code == 0
    (folder / "routes.yaml").write_text((folder / "routes.yaml").read_text("utf-8") + "# ours\n", "utf-8")
    (folder / "spool" / "keys" / "bohai.pub").unlink()
    before = everything(folder)
    second = eport("init", folder)
    assert second.code == 0 and second.out == ""
    assert everything(folder) == before


def test_private_keys_of_a_new_site_are_its_owners_only(eport, tmp_path: Path) -> None:
    eport("init", tmp_path / "port")
    keys = list((tmp_path / "port").rglob("*.key")) + list((tmp_path / "port").rglob("*.token"))
    assert len(keys) > 5 and all(key.stat().st_mode & 0o077 == 0 for key in keys)


def test_certificates_are_issued_listed_and_revoked(eport, tmp_path: Path) -> None:
    at = ("--site", tmp_path)
    assert eport("cert", "issue", "CUSTOMS", *at).code == 3  # no CA yet
    assert eport("cert", "init", "--name", "Our CA", *at).code == 0
    again = eport("cert", "init", *at)
    assert again.code == 3 and "exists" in again.err
    files = eport("cert", "issue", "CUSTOMS", "--days", "30", *at).out.split()
    assert sorted(Path(file).name for file in files) == ["CUSTOMS.crt", "CUSTOMS.key"]
    assert all(Path(file).exists() for file in files)
    other = eport("cert", "issue", "BORDER", "--to", tmp_path / "elsewhere", *at).out
    assert str(tmp_path / "elsewhere" / "BORDER.crt") in other
    rows = json.loads(eport("cert", "list", "--json", *at).out)
    assert sorted(row["party"] for row in rows) == ["BORDER", "CUSTOMS"] and not any(r["revoked_at"] for r in rows)
    [serial] = [row["serial"] for row in rows if row["party"] == "CUSTOMS"]
    end = next(row["not_after"] for row in rows if row["party"] == "CUSTOMS")
    assert abs(datetime.fromisoformat(end) - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert eport("cert", "revoke", serial, *at).code == 0
    rows = json.loads(eport("cert", "list", "--json", *at).out)
    assert [bool(row["revoked_at"]) for row in sorted(rows, key=lambda row: row["party"])] == [False, True]
    unknown = eport("cert", "revoke", "abcdef", *at)
    assert unknown.code == 3 and "abcdef" in unknown.err


@pytest.mark.parametrize("party", ["../../etc/passwd", "", "A B", "a" * 65])
def test_a_certificate_for_no_party_name_is_refused(eport, tmp_path: Path, party: str) -> None:
    eport("cert", "init", "--site", tmp_path)
    before = everything(tmp_path)
    said = eport("cert", "issue", party, "--site", tmp_path)
    assert said.code == 3 and "no party name" in said.err
    assert everything(tmp_path) == before


def test_a_command_line_with_a_broken_site_says_what_is_wrong_in_one_go(eport, site: Path) -> None:
    text = (site / "routes.yaml").read_text("utf-8")
    (site / "routes.yaml").write_text(
        text.replace("at: customs,", "at: custons,").replace("role: carrier", "rolle: c"), "utf-8"
    )
    with pytest.raises(DeclarationError):
        load(site)
    said = eport("release", "x", "--by", "LI", "--site", site)
    assert said.code == 2 and "routes.yaml:" in said.out and "\x1b" not in said.out


# ---- as a process


def process(*words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds of CPU time, and what a process of its own answered."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    ask = "import sys; sys.argv = ['eport', '--help']\nfrom hub.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    heavy = "sqlalchemy", "lxml", "paramiko", "cryptography", "pydantic", "alembic", "xmlschema", "yaml"
    tell = f"print('\\nloaded', sorted(set({heavy!r}) & set(sys.modules)))"
    _, done = process("-c", ask + tell)
    assert done.returncode == 0 and done.stdout.endswith("loaded []\n"), done.stdout[-200:] + done.stderr
    seconds = min(process("-m", "hub.cli", "--help")[0] for _ in range(3))
    assert seconds < 0.3


def test_a_process_exits_as_its_command_says_without_a_traceback(busy: Path, tmp_path: Path) -> None:
    for code, words in ((1, ("trace", "nothing", "--site", str(busy))), (2, ("status", "--site", str(tmp_path)))):
        _, done = process("-m", "hub.cli", *words)
        assert done.returncode == code and "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Commands that run something set up logging; take it down again."""
    import logging

    before = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])
