"""What an http endpoint may declare."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Settings of an http endpoint. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Where the hub posts to.
    url: str | None = None
    #: Secret reference: the bearer token that the hub presents.
    token: str | None = None
    #: Secret reference: the bearer token that the party presents at our door.
    submit_token: str | None = None
    #: Longest wait for a connection, for the next byte, and for the body of an answer.
    timeout: float = Field(default=30, gt=0)
    #: Largest message that the door takes.
    max_size: int = Field(default=50_000_000, gt=0)
    #: True: the other side does nothing twice for one Idempotency-Key.
    idempotent: bool = True
    #: GET status_url/<delivery> tells 200 when it arrived, 404 when it did not.
    status_url: str | None = None
    #: PEM file, relative to the site: the only authorities that may vouch for the party's TLS certificate.
    #: Without it those that the operating system or certifi knows.
    ca: str | None = None

    @property
    def reads(self) -> bool:
        return self.submit_token is not None

    @property
    def writes(self) -> bool:
        return self.url is not None
