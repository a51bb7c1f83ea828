"""The checks of what watches over the port: alarms, limits, retention."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hub.catalogue import catalogue
from hub.contract import Ground
from hub.declaration import Declaration, near
from hub.finding import Finding
from hub.site.model import Alarm, Mail, Routes, Webhook

KeyPath = tuple[Any, ...]
WORDS = ("overdue", "*")
"""What `on` may say beside codes."""
LEAST = timedelta(days=1)
"""What came today may still be worked on."""


def check(source: Declaration, routes: Routes, ground: Ground) -> Iterator[Finding]:
    """Every alarm is about something that exists and has one way that can work; spans and limits make sense."""
    for name, alarm in routes.alarms.items():
        at = ("alarms", name)
        if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            yield source.finding("site.bad_name", at, name, key=True)
        yield from _about(source, at, alarm, routes)
        yield from _spans(source, at, alarm)
        ways = [way for way in ("command", "mail", "webhook") if getattr(alarm, way)]
        if len(ways) != 1:
            yield source.finding("site.one_way", at, ", ".join(ways) or "–", "command, mail, webhook", key=True)
        if alarm.command:
            yield from _command(source, (*at, "command"), alarm.command[0])
        if alarm.mail:
            yield from _mail(source, (*at, "mail"), alarm.mail, ground)
        if alarm.webhook:
            yield from _webhook(source, (*at, "webhook"), alarm.webhook, ground)
    yield from _spans(source, ("limits",), routes.limits)
    for index, days in enumerate(routes.limits.certificates):
        if days < 1:
            yield source.finding("site.bad_value", ("limits", "certificates", index), str(days), "days, from 1")
    keep = routes.retention.payloads
    if keep is not None and keep < LEAST:
        yield source.finding("site.bad_value", ("retention", "payloads"), str(keep), "1d or more")


def _about(source: Declaration, at: KeyPath, alarm: Alarm, routes: Routes) -> Iterator[Finding]:
    codes = catalogue()["finding"]
    rooms = {f"{code.partition('.')[0]}.*" for code in codes}
    if not alarm.on:
        yield source.finding("site.bad_value", (*at, "on"), "[]", ", ".join(WORDS))
    for index, code in enumerate(alarm.on):
        if code not in codes and code not in rooms and code not in WORDS:
            yield source.finding("site.unknown_code", (*at, "on", index), code, near(code, (*codes, *rooms, *WORDS)))
    yield from _unknown(source, (*at, "party"), alarm.party, routes.parties)
    yield from _unknown(source, (*at, "endpoint"), alarm.endpoint, routes.endpoints)


def _unknown(source: Declaration, path: KeyPath, found: str, names: Iterable[str]) -> Iterator[Finding]:
    if found and found not in names:
        yield source.finding("site.unknown_name", path, found, near(found, names))


def _spans(source: Declaration, at: KeyPath, part: Any) -> Iterator[Finding]:
    for field in type(part).model_fields:
        value = getattr(part, field)
        if isinstance(value, timedelta) and value <= timedelta(0):
            yield source.finding("site.bad_value", (*at, field), "0s", "more than 0s")


def _command(source: Declaration, at: KeyPath, program: str) -> Iterator[Finding]:
    if not Path(program).is_absolute():
        yield source.finding("site.bad_value", (*at, 0), program, "/absolute/path")
    elif not os.access(program, os.X_OK):
        yield Finding("site.no_program", source.place((*at, 0)), program, severity="warning")


def _mail(source: Declaration, at: KeyPath, mail: Mail, ground: Ground) -> Iterator[Finding]:
    if not mail.to:
        yield source.finding("site.bad_value", (*at, "to"), "[]", "name@example")
    addresses = [((*at, "to", index), one) for index, one in enumerate(mail.to)] + [((*at, "from"), mail.from_)]
    for path, address in addresses:
        name, _, host = address.rpartition("@")
        if not name or not host or not address.isprintable() or any(c in address for c in " ,;<>"):
            yield source.finding("site.bad_value", path, address, "name@example")
    host, _, port = mail.smtp.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        yield source.finding("site.bad_value", (*at, "smtp"), mail.smtp, "host:port")
    if bool(mail.user) != bool(mail.password):
        yield source.finding("site.missing_key", at, expected="password" if mail.user else "user")
    yield from _secret(source, (*at, "password"), mail.password, ground)


def _webhook(source: Declaration, at: KeyPath, webhook: Webhook, ground: Ground) -> Iterator[Finding]:
    try:
        url = urlsplit(webhook.url)
        good = bool(url.hostname) and (url.scheme == "https" or (url.scheme == "http" and _here(url.hostname or "")))
    except ValueError:
        good = False
    if not good:
        yield source.finding("site.bad_value", (*at, "url"), webhook.url, "https://…")
    for name in ("token", "secret"):
        yield from _secret(source, (*at, name), getattr(webhook, name), ground)


def _here(host: str) -> bool:
    """True for this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secret(source: Declaration, at: KeyPath, reference: str, ground: Ground) -> Iterator[Finding]:
    """A reference, whose secret is perhaps not there yet."""
    wrong = ground.lacks(reference) if reference else ""
    if wrong and not reference.startswith(("env:", "file:", "$")):
        yield source.finding("site.bad_value", at, "…", "env:NAME, file:PATH")
    elif wrong:
        yield Finding("site.secret", source.place(at), reference, wrong, "warning")
