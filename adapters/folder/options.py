"""Settings of a folder endpoint."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Settings of a folder endpoint. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Folder that the hub writes to; with `home` the party's home.
    out: str | None = None
    #: Folder that the hub reads; with `home` it is outbound in the home when not given.
    in_: str | None = Field(default=None, alias="in")
    #: Which names are read, as in a shell.
    pattern: str = "*"
    #: Where settled files go, in a folder per day; without it they are deleted.
    archive: str | None = None
    #: At most one byte more than this is read of a file: the hub then sees that it is too large.
    max_size: int = Field(default=50_000_000, gt=0)
    #: A file of unknown format is whole when it has not changed for so long.
    stable: float = Field(default=10, ge=0)
    #: A cut file is collected when it has not changed for so long, so that its sender is told.
    incomplete_after: float = Field(default=300, ge=0)
    #: True: who reads `out` leaves the files there (or in one of `probe`): absence proves that none was sent.
    consumer_keeps: bool = False
    #: Further folders, below `out`, where the reader keeps what it has taken.
    probe: list[str] = Field(default_factory=list)
    #: True: `out` is a party's home with inbound, error and outbound in it.
    home: bool = False

    @property
    def reads(self) -> bool:
        return self.in_ is not None or self.home

    @property
    def writes(self) -> bool:
        return self.out is not None
