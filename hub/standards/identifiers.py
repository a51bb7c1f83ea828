"""The identifiers of the trade: one definition each, for XML schemas, partner guides and mappings.

`schemas/common/identifiers.xsd` is made from this table by `python -m hub.standards.identifiers`: XML Schema holds
the forms, and what it cannot say (check digits, dates that exist) is checked here, behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from hub.standards import digits

NAMESPACE = "urn:eport:identifiers:1"


@dataclass(frozen=True, slots=True)
class Identifier:
    """`pattern` holds in XML Schema and in Python alike; `codes` names the code list that the value is of."""

    name: str
    zh: str
    en: str
    example: str
    pattern: str
    source: str
    digits: Callable[[str], str | None] | None = None
    codes: str = ""


_TABLE = (
    # ---- companies and people
    Identifier(
        "social-credit-code",
        "统一社会信用代码",
        "Unified social credit code",
        "91350100M000100Y43",
        "[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}",
        "GB 32100",
        digits.social_credit,
    ),
    Identifier(
        "organisation-code",
        "组织机构代码",
        "Organisation code",
        "D2143569-X",
        "[0-9A-Z]{8}-?[0-9X]",
        "GB 11714",
        digits.organisation,
    ),
    Identifier(
        "identity-card",
        "公民身份号码",
        "Number of a Chinese identity card",
        "11010519491231002X",
        "[1-9][0-9]{16}[0-9X]",
        "GB 11643",
        digits.identity_card,
    ),
    Identifier(
        "mrz-field",
        "机读区字段及其校验码",
        "Field of a machine-readable zone with its check digit",
        "L898902C36",
        "[0-9A-Z<]{1,39}[0-9]",
        "ICAO Doc 9303-3",
        digits.mrz_field,
    ),
    Identifier(
        "mrz-line",
        "护照机读区第二行",
        "Second line of a passport's machine-readable zone",
        "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "[0-9A-Z<]{9}[0-9][A-Z<]{3}[0-9<]{6}[0-9][FM<][0-9]{7}[0-9A-Z<]{14}[0-9<][0-9]",
        "ICAO Doc 9303-4",
        digits.mrz_line,
    ),
    # ---- customs
    Identifier(
        "customs-declaration",
        "报关单号",
        "Number of a customs declaration",
        "020220251000000001",
        "[0-9]{4}(19|20)[0-9]{2}[01][0-9]{9}|[0-9]{9}",
        "China Customs: office 4, year 4, 1 import or 0 export, serial 9; the old form has 9 digits",
    ),
    Identifier(
        "tax-bill",
        "税单号",
        "Number of a tax bill",
        "020220251000000001-A01",
        "[0-9]{4}(19|20)[0-9]{2}[01][0-9]{9}-[A-Z][0-9]{2}",
        "China Customs: declaration, kind of tax, serial",
    ),
    Identifier(
        "customs-registration",
        "海关注册编码",
        "Customs registration number of a company",
        "1207910001",
        "[0-9]{4}[0-9A-Z]{6}",
        "China Customs: region 4, zone 1, kind 1, serial 4",
    ),
    Identifier(
        "customs-manual",
        "手册、账册、征免税证明编号",
        "Number of a customs manual, account book or duty certificate",
        "B02027000001",
        "[A-Z][0-9A-Z]{11}",
        "China Customs",
    ),
    Identifier("customs-office", "关区代码", "Customs office", "0202", "[0-9]{4}", "China Customs"),
    Identifier("supervision-mode", "监管方式", "Customs supervision mode", "0110", "[0-9]{4}", "China Customs"),
    Identifier("levy-nature", "征免性质", "Nature of levy and exemption", "101", "[0-9]{3}", "China Customs"),
    Identifier(
        "transport-mode", "运输方式", "Mode of transport as customs writes it", "2", "[0-9A-Z]", "China Customs"
    ),
    Identifier(
        "hs-code",
        "商品编码",
        "Commodity code",
        "8471300000",
        "[0-9]{6}|[0-9]{8}|[0-9]{10}|[0-9]{13}",
        "WCO Harmonized System 6, national up to 10, inspection 13",
    ),
    # ---- ships, containers, transport
    Identifier("imo-number", "IMO 编号", "IMO ship number", "9074729", "[0-9]{7}", "IMO A.1117(30)", digits.imo),
    Identifier("mmsi", "海上移动业务标识", "Maritime mobile service identity", "412345678", "[0-9]{9}", "ITU-R M.585"),
    Identifier("call-sign", "呼号", "Radio call sign", "BPAB", "[A-Z0-9]{3,9}", "ITU Radio Regulations, article 19"),
    Identifier(
        "container-number",
        "箱号",
        "Container number",
        "CSQU3054383",
        "[A-Z]{3}[UJZ][0-9]{7}",
        "ISO 6346",
        digits.container,
    ),
    Identifier(
        "size-type",
        "尺寸箱型",
        "Size and type of a container",
        "22G1",
        "[1-9A-P][0-9A-P][A-Z][0-9A-Z]",
        "ISO 6346",
        codes="size-type",
    ),
    Identifier(
        "locode", "联合国口岸代码", "UN/LOCODE", "CNTXG", "[A-Z]{2}[A-Z2-9]{3}", "UN/ECE Rec 16", codes="locode"
    ),
    Identifier(
        "air-waybill",
        "航空运单号",
        "Air waybill number",
        "020-12345675",
        "[0-9]{3}-?[0-9]{8}",
        "IATA resolution 600a",
        digits.air_waybill,
    ),
    Identifier(
        "bill-of-lading",
        "提单号",
        "Bill of lading number",
        "PUSTXG00001",
        "[0-9A-Z][0-9A-Z./_\\-]{0,34}",
        "UN/EDIFACT 1004, an..35",
    ),
    Identifier("un-number", "联合国危险货物编号", "UN number", "1203", "[0-9]{4}", "UN Model Regulations"),
    Identifier(
        "imdg-class",
        "危险货物类别",
        "Class of dangerous goods",
        "3",
        "1(\\.[1-6][A-HJKLNS]?)?|2(\\.[1-3])?|3|4(\\.[1-3])?|5(\\.[12])?|6(\\.[12])?|[789]",
        "IMDG Code, part 2",
    ),
    # ---- money and organisations of the world
    Identifier(
        "iban",
        "国际银行账号",
        "IBAN",
        "GB82WEST12345698765432",
        "[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}",
        "ISO 13616",
        digits.iban,
    ),
    Identifier(
        "lei", "全球法人识别编码", "LEI", "529900T8BM49AURSDO55", "[A-Z0-9]{18}[0-9]{2}", "ISO 17442", digits.lei
    ),
    Identifier("bic", "银行识别代码", "BIC", "BKCHCNBJ", "[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", "ISO 9362"),
    Identifier("gln", "全球位置码", "GLN", "5790000274017", "[0-9]{13}", "GS1", digits.gs1),
    Identifier("sscc", "系列货运包装箱代码", "SSCC", "340123451234567895", "[0-9]{18}", "GS1", digits.gs1),
    # ---- codes
    Identifier("country-code", "国家代码", "Country", "CN", "[A-Z]{2}", "ISO 3166-1 alpha-2", codes="country"),
    Identifier("nationality", "国籍代码", "Nationality", "CHN", "[A-Z]{3}", "ICAO Doc 9303-3, section 5"),
    Identifier("currency-code", "货币代码", "Currency", "CNY", "[A-Z]{3}", "ISO 4217", codes="currency"),
    Identifier("unit-code", "计量单位代码", "Unit of measure", "KGM", "[0-9A-Z]{2,3}", "UN/ECE Rec 20", codes="unit"),
    Identifier(
        "package-type", "包装种类代码", "Kind of package", "CT", "[0-9A-Z]{2}", "UN/ECE Rec 21", codes="package"
    ),
    # ---- what customs wrote before it took the codes of the world
    Identifier(
        "customs-country", "海关国别代码（旧）", "Country, old code of customs", "142", "[0-9]{3}", "China Customs"
    ),
    Identifier(
        "customs-currency", "海关币制代码（旧）", "Currency, old code of customs", "502", "[0-9]{3}", "China Customs"
    ),
    Identifier("customs-unit", "海关计量单位代码", "Unit, code of customs", "035", "[0-9]{3}", "China Customs"),
)

IDENTIFIERS: dict[str, Identifier] = {one.name: one for one in _TABLE}
NAMES = frozenset(IDENTIFIERS)
_FORMS = {one.name: re.compile(one.pattern) for one in _TABLE}


@lru_cache(maxsize=8192)
def check(name: str, value: str) -> str | None:
    """What was expected in place of `value`: the form, or the check digit; None when nothing is wrong with it.

    Raises KeyError for a name that is not in NAMES."""
    if not _FORMS[name].fullmatch(value):
        return IDENTIFIERS[name].pattern
    judge = IDENTIFIERS[name].digits
    return judge(value) if judge else None


def schema() -> str:
    """The XML schema of all identifiers: one simple type each, by its name."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- Made from hub/standards/identifiers.py by `python -m hub.standards.identifiers`. -->",
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"',
        f'           targetNamespace="{NAMESPACE}" elementFormDefault="qualified" version="1.0">',
    ]
    for one in _TABLE:
        lines += [
            f'  <xs:simpleType name="{one.name}">',
            "    <xs:annotation>",
            f'      <xs:documentation xml:lang="zh">{escape(one.zh)}（{escape(one.source)}），如 '
            f"{escape(one.example)}</xs:documentation>",
            f'      <xs:documentation xml:lang="en">{escape(one.en)} ({escape(one.source)}), like '
            f"{escape(one.example)}</xs:documentation>",
            "    </xs:annotation>",
            f'    <xs:restriction base="xs:token"><xs:pattern value={quoteattr(one.pattern)}/></xs:restriction>',
            "  </xs:simpleType>",
        ]
    return "\n".join([*lines, "</xs:schema>"]) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
