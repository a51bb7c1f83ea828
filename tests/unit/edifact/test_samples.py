"""Samples written by others, with the verdicts of their manifest; skipped by name on a machine without them.

The verdict is that of a strict check by the whole directory of the message: what a partner's guide would forgive is
told. The manifest did not look at dates; those that are told here are wrong (`199910060000` as format 102).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from hub.edifact.contrl import contrl
from hub.edifact.directory import Directories, Directory
from hub.edifact.elements import check
from hub.edifact.model import Element, Envelope, RawMessage, Repeats, Separators, Trailer
from hub.edifact.reader import read
from hub.edifact.structure import build
from hub.edifact.tables import Tables, write
from hub.edifact.tables import read as read_tables
from hub.edifact.writer import write_segment
from hub.finding import Finding
from tests.directories import SHIPPED, facts, releases

SAMPLES = Path(__file__).parents[4] / "shared" / "samples" / "edifact"
FILES = sorted(SAMPLES.glob("*"))
NOW = datetime(2024, 1, 2, 3, 4, tzinfo=UTC)

NOBODY = Envelope("", "", "", "", "", "", "", "")
Judged = tuple[Envelope, list[tuple[RawMessage, list[Finding]]], Trailer]

pytestmark = pytest.mark.skipif(not FILES or not releases(), reason="shared/samples or shared/edifact is not here")

VERDICTS = {
    "AESG_02_001__EDI.Net__edifact.AutoEndSegmentGroups.edi": "",
    "APERAK_D_96A__EDI.Net__Apperak_edi_out_issue235.edi": "unb_incomplete unz_missing",
    "APERAK_D_96A__pydifact__aperak.edi": "unt_count",
    "APERAK_D_96A__pydifact__aperak_rejected_5840.edi": "unt_count",
    "AUTACK_D_94A__underware.Edifact__D94A_AUTACK.txt": "",
    "BAPLIE_D_04B__edifact-types__d04b_baplie.edi": "component_excess",
    "BAPLIE_D_95B__staedi__baplie-test.edi": "",
    "COPRAR_D_95B__edifact-types__d95b_coprar.edi": "unb_missing",
    "IFCSUM_D_01B__EDI.Net__edifact.D01B.IFCSUM.EDI": "code_unknown element_too_long unt_count",
    "IFTMIN_D_96A__EDI.Net__edifact.Issue188.edi": (
        "duplicate_reference segment_missing unt_count unt_reference unz_count"
    ),
    "IFTSAI_D_99B__scala-edifact-parser__VIFTSAI0000001.txt": "code_unknown unz_missing",
    "IFTSAI_D_99B__scala-edifact-parser__VIFTSAI0000003.txt": "code_unknown unz_missing",
    "IFTSAI_D_99B__scala-edifact-parser__VIFTSAI0000004.txt": "code_unknown",
    "IFTSTA_D_00B__edifact-types__d00b_iftsta.edi": "code_unknown unz_reference",
    "INFENT_D_00B__EDI.Net__edifact.Paiement.Issue139.EDI": "segment_missing unt_count",
    "INVOIC_D_01B__edifact-rs__d01b_invoic_conforming.edi": "unb_missing",
    "INVOIC_D_01B__edifact-rs__d01b_invoic_malformed.edi": "unb_missing",
    "INVOIC_D_03B__smooks-edi-cartridge__INVOIC_D.03B_Interchange_with_UNA.txt": "unt_count",
    "INVOIC_D_11A__edifactconverter__orders.edi": "unt_count",
    "INVOIC_D_93A__staedi__invoic_d93a_una.edi": "undecodable",
    "INVOIC_D_97A__pydifact__invoice1.edi": "date_invalid",
    "INVOIC_D_97A__pydifact__invoice_with_colon_at_end.edi": "date_invalid",
    "INVOIC_D_97B__staedi__invoic_d97b.edi": "undecodable",
    "INVOIC_D_97B__staedi__invoic_d97b_bad.edi": "character_type element_too_long segment_repeats",
    "INVOIC_D_97B__staedi__invoic_d97b_una.edi": "",
    "MEDRPT_1_901__pydifact__patient1.edi": "charset_unsupported line_break unb_date undecodable unz_reference",
    "MSG1_S_93A__smooks-edi-cartridge__unedifact-msg-01.edi": (
        "duplicate_reference group_types groups_mixed tag ung_incomplete unt_count unz_reference"
    ),
    "MSG1_S_93A__smooks-edi-cartridge__unedifact-msg-02.edi": (
        "duplicate_reference group_types groups_mixed tag ung_incomplete unt_count unz_reference"
    ),
    "MSG2_S_93A__smooks-edi-cartridge__unedifact-msg-04.edi": "group_types tag unt_count unz_reference",
    "ORDERS_D_01B__edifact-rs__d01b_orders_conforming.edi": "unb_missing",
    "ORDERS_D_01B__edifactconverter__ORDERS_D01B.txt": "code_unknown",
    "ORDERS_D_03B__edifact_rails__one_line.edi": "unt_count",
    "ORDERS_D_03B__smooks-edi-cartridge__BAD_ORDERS_D.03B_Interchange.txt": "segment_repeats unt_count",
    "ORDERS_D_03B__smooks-edi-cartridge__ORDERS_D.03B_Interchange.txt": "",
    "ORDERS_D_11A__edifact-rs__d11a_malformed_component.edi": "unb_missing",
    "ORDERS_D_96A__pydifact__order.edi": "unz_missing",
    "ORDERS_D_96A__pydifact__wikipedia_de.edi": "unz_reference",
    "ORDERS_D_96A__smooks-examples__expected.txt": "",
    "ORDERS_D_96B__staedi__orders-with-group.edi": "code_unknown element_too_long unb_code unt_count",
    "ORDRSP_D_10A__EDI.Net__edifact.ORDRSP.edi": (
        "code_unknown segment_unexpected unt_count unt_reference unz_reference"
    ),
    "PAORES_93_1__EDI.Net__edifact.Issue152.Wikipedia.edi": "charset_unsupported",
    "PAORES_93_1__EDI.Net__edifact.Issue157.Wikipedia.edi": "charset_unsupported",
    "PARTIN_D_01B__edifactconverter__PARTIN_01B_UNA_ERROR.edi": "date_invalid",
    "PAXLST_D_03B__smooks-edi-cartridge__bad-paxlst.txt": "segment_repeats unt_count",
    "PAXLST_D_03B__smooks-edi-cartridge__paxlst.txt": "",
    "PNRGOV_11_1__staedi__empty-segment-example.edi": "charset_unsupported",
    "PNRGOV_11_1__staedi__null-pointer-example.edi": "charset_unsupported",
    "QUOTES_D_96A__EDI.Net__edifact.01.multi-message.edi": "code_unknown duplicate_reference unt_count unz_reference",
    "RECADV_D_01B__smooks-edi-cartridge__recadv.txt": "code_unknown element_too_long undecodable",
    "UNKNOWN__EDI.Net__edifact.Issue121.ElementList.edi": "element_missing unb_incomplete unh_incomplete unt_count",
    "UNKNOWN__EDI.Net__edifact.Issue174.edi": (
        "charset_unsupported element_missing unb_incomplete unh_incomplete unt_count"
    ),
    "UNKNOWN__pydifact__hl7.lab": "charset_unsupported line_break outside_message unb_date unz_missing",
    "UTILMD_D_11A__edifactconverter__UTILMD.edi": "code_unknown",
    "UTILMD_D_11A__edifactconverter__UTILMD_Result.edi": "code_unknown control una_invalid",
    "_D_95B__EDI.Net__edifact.D95B.CUSCAR.EDI": "unh_incomplete unt_count",
}


@cache
def tables(release: str, version: str) -> Directory | None:
    """The whole directory from the shared facts, with the service layer that the project ships."""
    name = release.replace(":", "")
    if name not in releases():
        return None
    return Directory(release, Tables(name, write(facts(name))), read_tables(SHIPPED / f"SERVICE{version}.txt"))


def of_tables(message: RawMessage, version: str) -> list[Finding]:
    """By the directory of the message, where there is one."""
    directory = tables(f"{message.version}:{message.release}", "4" if version == "4" else "3")
    if directory is None or message.type not in directory.types():
        return []
    return build(message, directory.message(message.type))[1] + check(message, directory, version=version)


@cache
def judged(path: Path) -> list[Judged]:
    """Each interchange: what is wrong with its messages beside them."""
    envelope, messages, found = NOBODY, [], []
    for part in read([path.read_bytes()]):
        if isinstance(part, Envelope):
            envelope, messages = part, []
        elif isinstance(part, RawMessage):
            messages.append((part, [*part.findings, *of_tables(part, envelope.version)]))
        else:
            found.append((envelope, messages, part))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_verdict(path: Path) -> None:
    found: list[Finding] = []
    for envelope, messages, trailer in judged(path):
        found += [*envelope.findings, *trailer.findings, *(f for _, told in messages for f in told)]
        found += [finding for _, told in trailer.groups for finding in told]
    errors = {finding.code.removeprefix("edifact.") for finding in found if finding.severity == "error"}
    assert errors == set(VERDICTS[path.name].split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_answer_passes_our_own_check(path: Path) -> None:
    directories = Directories(SHIPPED)
    for envelope, messages, trailer in judged(path):
        whole = [*envelope.findings, *trailer.findings]
        for wrong in (whole, []):
            answer = contrl(
                envelope,
                messages,
                wrong,
                groups=trailer.groups,
                reference="9",
                message_reference="8",
                now=NOW,
                accepted=True,
            )
            if answer is None:
                named = envelope.sender and envelope.recipient and envelope.reference
                assert not named or {message.type for message, _ in messages} <= {"APERAK"}
                continue
            [told] = [part for part in read([answer], charset=envelope.charset) if isinstance(part, RawMessage)]
            directory = directories.get(f"{told.version}:{told.release}")
            found = build(told, directory.message("CONTRL"))[1] + check(told, directory, version=envelope.version)
            assert {(f.code, f.expected) for f in found} <= {
                ("edifact.code_unknown", "0007"),
                ("edifact.code_usual", "0007"),
            }


def occurrences(values: Element) -> list[Element]:
    return [values, *(values.more if isinstance(values, Repeats) else ())]


def normal(text: str, signs: Separators) -> str:
    """A message without blanks between segments, empty ends, and release characters that release nothing."""
    release, colon, plus, end = map(
        re.escape, (signs.release or "\0", signs.component, signs.element, signs.terminator)
    )
    repeat = re.escape(signs.repetition or "\0")
    piece = rf"(?:{release}[\s\S]|[^{release}{end}])*{end}"
    found = []
    for segment in re.findall(piece, text):
        segment = segment.lstrip(" \t\r\n\0")
        segment = re.sub(
            rf"{release}([\s\S])",
            lambda m: m[0] if re.match(f"{release}|{colon}|{plus}|{end}|{repeat}", m[1]) else m[1],
            segment,
        )
        segment = re.sub(rf"(?<!{release}){colon}+(?=[{plus}{end}{repeat}])", "", segment)
        found.append(re.sub(rf"(?<!{release}){plus}+(?={end}$)", "", segment))
    return "".join(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_read_is_written_as_it_was(path: Path) -> None:
    data = path.read_bytes()
    for envelope, messages, _ in judged(path):
        for message, found in messages:
            if {f.code for f in found} & {"edifact.undecodable", "edifact.unt_missing", "edifact.nesting"}:
                continue
            signs = message.separators
            written = "".join(write_segment(one.tag, one.elements, signs) for one in message.segments)
            assert written == normal(data[message.offset : message.end].decode(envelope.charset), signs)
