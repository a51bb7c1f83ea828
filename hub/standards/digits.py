"""Check digits. Each function takes a value whose form is right and returns None, or what was expected in its place.

Sums that python-stdnum has are its own (LGPL-2.1-or-later), but for the two that every message needs many times.
"""

from __future__ import annotations

from datetime import date

from stdnum import ean
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_97_10

_ALNUM = {sign: value for value, sign in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_CONTAINER = {sign: value for value, sign in enumerate("0123456789A?BCDEFGHIJK?LMNOPQRSTU?VWXYZ") if sign != "?"}
_ORGANISATION = (3, 7, 9, 10, 5, 8, 4, 2)
_MRZ = {**_ALNUM, "<": 0}
_TD3 = ((0, 10), (13, 20), (21, 28), (28, 43))  # number, birth, expiry, what the state likes: each with its digit


def _last(value: str, digit: str, what: str = "校验码 · check digit") -> str | None:
    return None if value[-1] == digit else f"{what} {digit}"


def imo(value: str) -> str | None:
    """IMO ship number: digits 1–6 times 7…2, last digit of the sum (IMO A.1117(30))."""
    return _last(value, str(sum(int(sign) * (7 - at) for at, sign in enumerate(value[:6])))[-1])


def container(value: str) -> str | None:
    """ISO 6346: letters 10, 12, 13 … without 11, 22, 33; times 2^place, modulo 11, 10 as 0."""
    return _last(value, str(sum(_CONTAINER[sign] << at for at, sign in enumerate(value[:10])) % 11 % 10))


def organisation(value: str) -> str | None:
    """组织机构代码, GB 11714; with or without the hyphen before the check digit."""
    digit = 11 - sum(_ALNUM[sign] * weight for sign, weight in zip(value, _ORGANISATION, strict=False)) % 11
    return _last(value, {10: "X", 11: "0"}.get(digit, str(digit)))


def social_credit(value: str) -> str | None:
    """统一社会信用代码, GB 32100: its own digit and that of the organisation code in places 9 to 17."""
    wrong = organisation(value[8:17])
    if wrong:
        return f"{value[8:16]}: {wrong}"
    return _last(value, uscc.calc_check_digit(value[:17]))


def identity_card(value: str) -> str | None:
    """公民身份号码, GB 11643: the day of birth exists, then the digit."""
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return "出生日期 · date of birth"
    return _last(value, ric.calc_check_digit(value))


def air_waybill(value: str) -> str | None:
    """IATA: the serial number modulo 7."""
    return _last(value, str(int(value[-8:-1]) % 7))


def gs1(value: str) -> str | None:
    """GLN, SSCC: modulo 10 with weights 3 and 1 from the right (GS1 General Specifications 7.9)."""
    return _last(value, ean.calc_check_digit(value[:-1]))


def lei(value: str) -> str | None:
    """ISO 17442: ISO 7064 MOD 97-10."""
    digits = mod_97_10.calc_check_digits(value[:-2])
    return None if value[-2:] == digits else f"校验码 · check digits {digits}"


def iban(value: str) -> str | None:
    """ISO 13616: ISO 7064 MOD 97-10, and the structure that the country has registered."""
    from stdnum import iban as registry  # reads the register: a hundredth of a second that few need

    digits = mod_97_10.calc_check_digits(value[4:] + value[:2])
    if value[2:4] != digits:
        return f"校验码 · check digits {digits}"
    try:
        registry.validate(value)
    except ValidationError:
        return f"{value[:2]}: 该国账号结构 · the account structure of this country"
    return None


def _mrz(field: str) -> str:
    """ICAO Doc 9303-3, 4.9: weights 7, 3, 1; the filler counts 0."""
    return str(sum(_MRZ[sign] * (7, 3, 1)[at % 3] for at, sign in enumerate(field)) % 10)


def mrz_field(value: str) -> str | None:
    """One field of a machine-readable zone with its digit behind it."""
    return _last(value, _mrz(value[:-1]))


def mrz_line(value: str) -> str | None:
    """The second line of a passport (TD3): four fields with digits, and the digit over all of them."""
    for start, end in _TD3:
        digit = _mrz(value[start : end - 1])
        # A field that is left empty may have the filler for its digit.
        if value[end - 1] not in (digit, "<" if not value[start : end - 1].strip("<") else digit):
            return f"{value[start : end - 1]}: 校验码 · check digit {digit}"
    return _last(value, _mrz(value[0:10] + value[13:20] + value[21:43]))
