"""The gate: each limit at its edge, each disguise, content that ends too early, and nothing from outside."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.xml.gate import Limits, parse
from hub.xml.schema import Schema

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "mappings" / "manifest" / "cases" / "01-original" / "expected" / "manifest.xml"


def codes(data: bytes, **limits: int) -> list[str]:
    root, findings = parse(data, Limits(**limits))
    assert (root is None) == bool(findings)
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("data", "limit", "edge", "code"),
    [
        ("<a>" + " " * 93 + "</a>", "size", 100, "xml.too_large"),
        ("<a>" * 9 + "</a>" * 9, "depth", 9, "xml.too_deep"),
        ("<a>" + "<b/>" * 8 + "</a>", "elements", 9, "xml.too_many_elements"),
        ("<a>" + "<b></b>" * 8 + "</a>", "elements", 9, "xml.too_many_elements"),
        ("<a " + " ".join(f"b{n}='1'" for n in range(9)) + "/>", "attributes", 9, "xml.too_many_attributes"),
        ("<a b='" + "x" * 40 + "'/>", "attribute", 40, "xml.too_long"),
        ("<a>" + "x" * 40 + "</a>", "text", 40, "xml.too_long"),
        ("<a><![CDATA[" + "<" * 40 + "]]></a>", "text", 40, "xml.too_long"),
        ("<a " + " ".join(f"xmlns:n{n}='u'" for n in range(9)) + "/>", "namespaces", 9, "xml.too_many_namespaces"),
        ("<a>" + "<!---->" * 5 + "<?x y?>" * 4 + "</a>", "asides", 9, "xml.too_many_asides"),
    ],
)
def test_a_limit_holds_exactly(data: str, limit: str, edge: int, code: str) -> None:
    for encoding in ("utf-8", "utf-16") if limit != "size" else ("utf-8",):
        assert codes(data.encode(encoding), **{limit: edge}) == []
        assert codes(data.encode(encoding), **{limit: edge - 1}) == [code]


DECLARED = '<?xml version="1.0" encoding="{}"?><a>港口</a>'


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("<a>港口</a>".encode("utf-16-le"), "byte order mark"),
        ("<a>港口</a>".encode("utf-16-be"), "byte order mark"),
        (DECLARED.format("UTF-16LE").encode("utf-16-le"), "byte order mark"),
        ("<a/>".encode("utf-32"), "UTF-32"),
        ("<a/>".encode("utf-32-le"), "UTF-32"),
        ("<a/>".encode("utf-32-be"), "UTF-32"),
        (b"\0\0\xfe\xff" + "<a/>".encode("utf-32-be"), "UTF-32"),
        ("<?xml version='1.0'?><a/>".encode("cp037"), "EBCDIC"),
        (b"+ADw-a+AD4-", "UTF-7"),
        (b"+/v8-<a/>", "UTF-7"),
        (DECLARED.format("utf-7").encode(), "utf-7"),
        (DECLARED.format("EBCDIC-CP-US").encode(), "EBCDIC-CP-US"),
        (DECLARED.format("utf-16").encode(), "utf-16"),
        (DECLARED.format("gbk").encode("utf-8-sig"), "gbk"),
        (DECLARED.format("utf-8").encode("utf-16"), "utf-8"),
        (DECLARED.format("hz").encode("gbk"), "hz"),
        (DECLARED.format("iso-2022-cn").encode(), "iso-2022-cn"),
        (DECLARED.format("unicode_escape").encode(), "unicode_escape"),
        (DECLARED.format("").encode(), ""),
        (b"<?xml version='1.0' " + b" " * 5000 + b"encoding='utf-7'?><a/>", "<?xml"),
        (b"<?xml version='1.0' " + b" " * 500 + b"encoding='utf-7'?><a/>", "utf-7"),
        (b"<?xml version='1.0'\n\tencoding\n=\n'utf-7'?><a/>", "utf-7"),
    ],
)
def test_a_disguise_is_refused_by_name(data: bytes, named: str) -> None:
    root, findings = parse(data)
    assert root is None and [finding.code for finding in findings] == ["xml.encoding"]
    assert named in findings[0].found


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<a>港口</a>".encode("utf-8-sig"), "港口"),
        ("<a>港口</a>".encode("utf-16"), "港口"),
        (DECLARED.format("UTF-16").encode("utf-16"), "港口"),
        (DECLARED.format("GB18030").encode("gb18030"), "港口"),
        (b"<a>1<!-- 00 -->2<?x y?>3</a>", "123"),
        (b"<a>&#x6e2f;&amp;</a>", "港&"),
        (b"<a>encoding='utf-7'</a>", "encoding='utf-7'"),
        (b"<?xml-stylesheet href='http://127.0.0.1/'?><a>1</a>", "1"),
    ],
)
def test_what_is_read_is_whole(data: bytes, text: str) -> None:
    root, findings = parse(data)
    assert findings == [] and root is not None and root.text == text


def test_wherever_a_document_is_cut_it_is_told_as_truncated() -> None:
    data = GOLDEN.read_bytes()
    text = "<?xml version='1.0' encoding='{}'?><a b='港'><!-- 港口 --><![CDATA[港]]>&amp;&#x6e2f;<c/></a>"
    for whole in (data, *(text.format(name).encode(name) for name in ("utf-8", "gb18030", "utf-16"))):
        end = whole.rstrip()
        for at in range(8, len(end), 1 if len(end) < 500 else 17):
            assert codes(end[:at]) == ["xml.truncated"], end[:at][-20:]
        assert codes(end) == []


@pytest.mark.parametrize(
    "data",
    [
        b"<a></b>",
        b"<a>&x;</a>",
        b"<a/>x",
        b"<a b='<'/>",
        b"<a b=1/>",
        b"<a><b></a>",
        b"text",
        b"<a>\0</a>",
        b"<a/><b/>",
    ],
)
def test_what_is_wrong_is_not_told_as_truncated(data: bytes) -> None:
    assert codes(data) == ["xml.not_well_formed"]


@pytest.fixture
def sink() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def test_nothing_is_fetched_from_outside(sink: socket.socket) -> None:
    url = f"http://127.0.0.1:{sink.getsockname()[1]}/x"
    bodies = [
        f'<!DOCTYPE a SYSTEM "{url}"><a/>',
        f'<!DOCTYPE a [<!ENTITY % x SYSTEM "{url}">%x;]><a/>',
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "{url}">]><a>&x;</a>',
        f'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="{url}"/></a>',
        f'<a xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:schemaLocation="u {url}" xmlns="u"/>',
        f'<?xml-stylesheet type="text/xsl" href="{url}"?><a/>',
        f'<a xmlns="{url}" xml:base="{url}"/>',
    ]
    schema = Schema(ROOT / "schemas" / "manifest" / "manifest.xsd")
    for body in bodies:
        for encoding in ("utf-8", "utf-16"):
            root, findings = parse(body.encode(encoding))
            assert [f.code for f in findings] == (["xml.dtd"] if "<!DOCTYPE" in body else [])
            if root is not None:
                assert schema.check(root)
                assert schema.explain(body.encode(encoding))
    with pytest.raises(BlockingIOError):
        sink.accept()


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        b"<a " + b" ".join(b"b%d=''" % n for n in range(300_000)) + b"/>",
        b"<a>" * 200_000,
        b"<a>" + b"<!---->" * 400_000 + b"</a>",
        b"<a " + b" ".join(b"xmlns:n%d='u'" % n for n in range(200_000)) + b"/>",
        b"<" * 1_000_000,
        b"<!--" * 500_000,
    ],
    ids=["elements", "attributes", "depth", "comments", "namespaces", "brackets", "open comments"],
)
def test_a_bomb_costs_less_than_half_a_second(data: bytes) -> None:
    start = time.process_time()
    assert codes(data)
    assert time.process_time() - start < 0.5


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="<>/a='\"! -[]&;?x\n", max_size=60).map(str.encode))
def test_whatever_comes_a_tree_or_a_finding_goes(data: bytes) -> None:
    root, findings = parse(data)
    assert (root is None) == bool(findings)
