"""Faults: what stops a step. What is wrong with a *message* is a Finding (hub.finding), never one of these.

EportError
├── DeclarationError     routes.yaml, system.yaml, a mapping or a schema cannot be used; carries findings
├── IdentityError        a key or certificate is missing, expired, revoked or not the registered one
├── JournalError         the journal refuses or cannot keep its promise
│   ├── Stale            what the step read has changed meanwhile; read again and repeat
│   ├── Gone             the bytes were kept for as long as was agreed
│   └── Damaged          the bytes are missing, or not those that were stored
├── Impossible           a person asks for what cannot be done in the state that a thing is in
└── AdapterError         a transport failed; the subclass says what is known of the outcome
    ├── Unreachable      surely not done: try again later
    ├── OutcomeUnknown   may or may not be done: only evidence decides
    └── Untrusted        the other side is not who it should be (host key, certificate): hold the endpoint
"""

from __future__ import annotations

from datetime import datetime

from hub.finding import Finding


class EportError(Exception):
    """Base of every fault that this project raises on purpose."""


class DeclarationError(EportError):
    """Declarations cannot be used. `findings` says what, where and how to mend it."""

    def __init__(self, message: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class IdentityError(EportError):
    """A key or certificate is missing, expired, revoked or not the registered one."""


class JournalError(EportError):
    """The journal refuses or cannot keep its promise of durability."""


class Stale(JournalError):
    """What the step read has changed meanwhile. Nothing was written; read again and repeat."""


class Lost(JournalError):
    """The session that held the locks of this process is gone: another process may go on with its work."""


class Gone(JournalError):
    """The bytes of a payload were kept for as long as was agreed; its row and its hash are there. `until`: how long."""

    def __init__(self, sha256: str, until: datetime) -> None:
        super().__init__(f"payload {sha256} was kept until {until:%Y-%m-%d}")
        self.sha256, self.until = sha256, until

    def finding(self) -> Finding:
        """The same as a fact about whatever needs the bytes."""
        return Finding("journal.removed", found=f"{self.until:%Y-%m-%d}", expected=self.sha256)


class Damaged(JournalError):
    """The bytes of a payload are missing, or are no longer those that were stored; its row and its hash are there."""

    def __init__(self, sha256: str, why: str) -> None:
        super().__init__(f"payload {sha256} {why}")
        self.sha256, self.why = sha256, why

    def finding(self) -> Finding:
        """The same as a fact about whatever needs the bytes."""
        return Finding("journal.damaged", found=self.why, expected=self.sha256)


class Impossible(EportError):
    """What a person asks for cannot be done in the state that the thing is in. Nothing was changed."""


class AdapterError(EportError):
    """A transport failed; the subclass says what is known of the outcome."""


class Unreachable(AdapterError):
    """Surely not done. May be tried again."""


class OutcomeUnknown(AdapterError):
    """May or may not be done. Only evidence (probe, receipt, two persons) decides."""


class Untrusted(AdapterError):
    """The other side is not who it should be. The endpoint is held until a person looks."""
