"""The ways to tell a notice. Each raises Unreachable, with the reason and without secrets, when it was not told.

command  the program that is declared, with the arguments that are declared and no others; the notice is JSON on its
         standard input. Told when it exits with 0 within TIME. No shell; of what it writes the end of standard error
         is kept as the reason of a failure.
mail     one plain-text message in both languages; STARTTLS where the server offers it, a password never without.
webhook  POST of the JSON to https; no redirects, no proxies; told when the answer is 2xx. `token` goes as a bearer
         token; with `secret`, Eport-Signature is `t=SECONDS,sha256=HEX` of HMAC-SHA256 over "SECONDS.BODY".
"""

from __future__ import annotations

import hashlib
import hmac
import os
import select
import signal
import smtplib
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime

from hub.alarms.notice import Notice
from hub.contract import Ground
from hub.errors import Unreachable
from hub.site.model import Alarm

TIME = 10.0
"""Seconds that a way may take."""
KEPT = 500
"""Bytes of a command's standard error that are kept."""


def send(rule: Alarm, notice: Notice, ground: Ground) -> None:
    """Tell it. Raises Unreachable when it was not told."""
    for name, way in WAYS.items():
        if getattr(rule, name):
            way(rule, notice, ground)


def command(rule: Alarm, notice: Notice, ground: Ground) -> None:
    until = time.monotonic() + TIME
    with tempfile.TemporaryFile() as said:
        said.write(notice.json() + b"\n")
        said.seek(0)
        try:
            program = subprocess.Popen(
                rule.command,
                stdin=said,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=ground.site,
                start_new_session=True,
            )
        except OSError as fault:
            raise Unreachable(f"{rule.command[0]}: {fault.strerror}") from fault
    with program:
        words, code = _wait(program, until)
    if code != 0:
        why = "took too long" if code is None else f"exit code {code}"
        raise Unreachable(f"{rule.command[0]}: {why} {words}".strip())


def _wait(program: subprocess.Popen[bytes], until: float) -> tuple[str, int | None]:
    """The end of its standard error and its exit code; None, and it and its children are killed, when time is up."""
    assert program.stderr is not None
    words, code = b"", program.poll()
    while code is None and time.monotonic() < until:
        if select.select([program.stderr], [], [], 0.05)[0]:
            piece = os.read(program.stderr.fileno(), 65536)
            words = (words + piece)[-KEPT:]
            if not piece:  # it has closed its end
                with suppress(subprocess.TimeoutExpired):
                    program.wait(max(0.0, until - time.monotonic()))
        code = program.poll()
    if code is None:
        os.killpg(program.pid, signal.SIGKILL)
    elif select.select([program.stderr], [], [], 0)[0]:
        words = (words + os.read(program.stderr.fileno(), 65536))[-KEPT:]
    return words.decode("utf-8", "replace").strip(), code


def mail(rule: Alarm, notice: Notice, ground: Ground) -> None:
    assert rule.mail is not None
    how = rule.mail
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = how.from_, ", ".join(how.to), notice.title
    message["Date"] = format_datetime(notice.at)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(notice.both())
    host, _, port = how.smtp.rpartition(":")
    try:
        password = ground.secret(how.password) if how.password else ""
        with smtplib.SMTP(host, int(port), timeout=TIME) as server:
            server.ehlo()
            secure = server.has_extn("starttls")
            if secure:
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if password and not secure:
                raise Unreachable(f"{how.smtp} offers no STARTTLS: the password is not sent")
            if password:
                server.login(how.user, password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as fault:
        raise Unreachable(f"{how.smtp}: {type(fault).__name__}: {fault}"[:KEPT]) from fault


def webhook(rule: Alarm, notice: Notice, ground: Ground) -> None:
    import httpx2

    assert rule.webhook is not None
    how, body = rule.webhook, notice.json()
    try:
        headers = {"Content-Type": "application/json"}
        if how.token:
            headers["Authorization"] = f"Bearer {ground.secret(how.token)}"
        if how.secret:
            at = int(notice.at.timestamp())
            signed = hmac.new(ground.secret(how.secret).encode(), b"%d." % at + body, hashlib.sha256)
            headers["Eport-Signature"] = f"t={at},sha256={signed.hexdigest()}"
        with (
            httpx2.Client(timeout=TIME, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", how.url, content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except (OSError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as fault:
        raise Unreachable(f"{how.url}: {type(fault).__name__}: {fault}"[:KEPT]) from fault
    if not 200 <= status < 300:
        raise Unreachable(f"{how.url}: HTTP {status}")


WAYS: dict[str, Callable[[Alarm, Notice, Ground], None]] = {"command": command, "mail": mail, "webhook": webhook}
