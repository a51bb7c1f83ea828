"""`eport check` and what watches over the port: alarms, limits, the time of keeping."""

from __future__ import annotations

import pytest

from hub.site.load import load

from .conftest import Copy

ROUTES, ZONE = "routes.yaml", "zone: Asia/Shanghai\n"
PAGE = "command: [/bin/true]"
MAIL = "mail: {to: [a@b.example], from: c@d.example, smtp: 'mail:25'"
HOOK = "webhook: {url: 'https://x.example/h'"


def test_alarms_that_can_work_have_nothing_against_them(copy: Copy) -> None:
    (copy.folder / "token").write_text("abc")
    alarms = f"""alarms:
  page: {{on: [endpoint.broken, 'delivery.*', overdue], {PAGE}, after: 5m, repeat: 1h, resolved: true}}
  desk: {{on: ['*'], party: CUSTOMS, endpoint: customs, owner: operator, {MAIL}, user: u, password: 'file:token'}}}}
  hook: {{on: ['*'], {HOOK}, token: 'file:token', secret: 'file:token'}}}}
limits: {{disk: 5 GB, unopened: 5m, certificates: [90, 14], clock: 1s}}
retention: {{payloads: 3650d}}
"""
    copy.change(ROUTES, ZONE, ZONE + alarms)
    site = load(copy.folder)
    assert site.warnings == () and set(site.routes.alarms) == {"page", "desk", "hook"}


@pytest.mark.parametrize(
    ("alarm", "code", "found", "expected"),
    [
        (f"on: [endpoint.brokn], {PAGE}", "site.unknown_code", "endpoint.brokn", "endpoint.broken"),
        (f"on: [delivry.*], {PAGE}", "site.unknown_code", "delivry.*", "delivery.*"),
        (f"on: [overdu], {PAGE}", "site.unknown_code", "overdu", "overdue"),
        (f"on: [], {PAGE}", "site.bad_value", "[]", "overdue"),
        (f"on: ['*'], party: CUSTOMZ, {PAGE}", "site.unknown_name", "CUSTOMZ", "CUSTOMS"),
        (f"on: ['*'], endpoint: custom, {PAGE}", "site.unknown_name", "custom", "customs"),
        (f"on: ['*'], after: 0s, {PAGE}", "site.bad_value", "0s", "more than 0s"),
        ("on: ['*']", "site.one_way", "–", "command, mail, webhook"),
        (f"on: ['*'], {PAGE}, {HOOK}}}", "site.one_way", "command, webhook", ""),
        ("on: ['*'], command: [page]", "site.bad_value", "page", "/absolute/path"),
        ("on: ['*'], command: [/no/page]", "site.no_program", "/no/page", ""),
        ("on: ['*'], mail: {to: [], from: c@d, smtp: 'm:25'}", "site.bad_value", "[]", "name@example"),
        ("on: ['*'], mail: {to: ['a@b, x@y'], from: c@d, smtp: 'm:25'}", "site.bad_value", "a@b, x@y", "name@example"),
        ("on: ['*'], mail: {to: [a@b], from: nobody, smtp: 'm:25'}", "site.bad_value", "nobody", "name@example"),
        ("on: ['*'], mail: {to: [a@b], from: c@d, smtp: mail}", "site.bad_value", "mail", "host:port"),
        (f"on: ['*'], {MAIL}, user: u}}", "site.missing_key", "", "password"),
        ("on: ['*'], webhook: {url: 'http://x.example/'}", "site.bad_value", "http://x.example/", "https://"),
        (f"on: ['*'], {HOOK}, token: abc}}", "site.bad_value", "…", "env:NAME"),
        (f"on: ['*'], {HOOK}, secret: 'file:none'}}", "site.secret", "file:none", "No such file"),
        (f"on: ['*'], {PAGE}, colour: red", "site.unknown_key", "colour", "owner"),
    ],
)
def test_an_alarm_that_could_not_work_is_refused_with_its_place(
    copy: Copy, alarm: str, code: str, found: str, expected: str
) -> None:
    line = copy.change(ROUTES, ZONE, f"{ZONE}alarms:\n  night: {{{alarm}}}\n")
    [finding] = copy.findings()
    assert (finding.code, finding.found) == (code, found) and expected in finding.expected
    assert finding.place.line == line + 2


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("alarms: {'a b': {on: ['*'], command: [/bin/true]}}", "a b"),
        ("limits: {disk: much}", "much"),
        ("limits: {disk: 120%}", "120%"),
        ("limits: {unopened: 0s}", "0s"),
        ("limits: {certificates: [0]}", "0"),
        ("retention: {payloads: 1h}", "1:00:00"),
        ("retention: {payloads: soon}", "soon"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(copy: Copy, part: str, found: str) -> None:
    copy.change(ROUTES, ZONE, f"{ZONE}{part}\n")
    [finding] = copy.findings()
    assert finding.code in ("site.bad_value", "site.bad_name") and finding.found == found
