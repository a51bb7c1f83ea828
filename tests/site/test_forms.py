"""Mistakes in the declaration of JSON, CSV and flat kinds are found at their line."""

from __future__ import annotations

import pytest

from hub.errors import DeclarationError
from hub.site.load import load
from tests.site.conftest import Copy

SYSTEM = "mappings/manifest/system.yaml"
FLAT = """  list-flat:
    format: flat
    schema: manifest/container-list.xsd
    root: ContainerList
    records:
      "00": {fields: [=LIST]}
      "10": {opens: ContainerList, fields: [Manifest, Voyage, Port, Vessel/Name, Vessel/IMO]}
      "51": {opens: ContainerList/Container, fields: [Number, SizeType, Seal, Status]}
  customs-manifest: {"""


@pytest.mark.parametrize(
    ("old", "new", "code", "found", "expected"),
    [
        ("size_type: SizeType", "size_type: SizeTyp", "site.bad_path", "SizeTyp", "SizeType"),
        ("imo: ContainerList/Vessel/IMO", "imo: ContainerList/Vessel/Imo", "site.bad_path", "Vessel/Imo", "IMO"),
        ("row: ContainerList/Container", "row: ContainerList/Vessel", "site.bad_path", "Vessel", "a path that repeats"),
        ("split: [manifest]", "split: [manifst]", "site.bad_path", "manifst", "manifest"),
        ("    guard: true\n", "    guards: true\n", "site.unknown_key", "guards", "guard"),
        ("    guard: true\n", '    separator: "|"\n', "site.unknown_key", "separator", "csv"),
        ("    row: ContainerList/Container\n", "", "site.missing_key", "", "row"),
        ("    guard: true\n", '    delimiter: ";;"\n', "site.bad_value", ";;", ""),
        ("  customs-manifest: {", FLAT.replace("Vessel/IMO", "Vessel/Imo"), "site.bad_path", "Vessel/Imo", "IMO"),
        ("  customs-manifest: {", FLAT.replace("opens: ContainerList,", "opens: List,"), "site.bad_path", "List", ""),
        (
            "  customs-manifest: {",
            "  again: {format: json, schema: manifest/manifest.xsd, root: Manifest}\n  customs-manifest: {",
            "site.ambiguous_kind",
            "again",
            "manifest-json",
        ),
    ],
)
def test_a_mistake_is_found_at_its_line(copy: Copy, old: str, new: str, code: str, found: str, expected: str) -> None:
    line = copy.change(SYSTEM, old, new)
    with pytest.raises(DeclarationError) as fault:
        load(copy.folder)
    [wrong] = [one for one in fault.value.findings if one.code == code and one.found == found]
    assert expected in wrong.expected
    assert wrong.place.file == SYSTEM and wrong.place.line and (not found or abs(wrong.place.line - line) <= 8)


def test_forms_of_one_document_need_no_mapping_between_them(copy: Copy) -> None:
    copy.change(SYSTEM, "  customs-manifest: {", FLAT)
    site = load(copy.folder)
    made = site.mappings["container-list", "list-flat"]
    text = b"manifest,voyage,imo,vessel,port,container,size_type\nM1,0126W,9100310,P,CNTXG,CSQU3054383,22G1\n"
    form = site.kinds["container-list"].form
    assert form is not None
    [read] = form.read(text).documents
    target, wrong = made.apply({"": read.root}, {})
    data, lost = site.kinds["list-flat"].write(target)
    assert (wrong, lost) == ([], [])
    assert data == b"00:LIST'\r\n10:M1:0126W:CNTXG:P:9100310'\r\n51:CSQU3054383:22G1'\r\n"
