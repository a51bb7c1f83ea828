"""What sealed events prove, as sentences of the catalogue: who handed in what, what went to whom, what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Sentence = tuple[str, dict[str, str]]
"""A key of table `text` in the catalogue, and what fills its holes."""


def tell(events: Sequence[Mapping[str, Any]], signers: Mapping[int, str]) -> Iterator[Sentence]:
    """One sentence for each event that says something about a message, in their order."""
    to = {event["subject"]: str(event["detail"]["to"]) for event in events if "to" in event["detail"]}
    for event in events:
        detail, what = event["detail"], event["what"]
        holes = {name: str(value) for name, value in detail.items()}
        holes |= {"at": event["at"][:19] + "Z", "subject": event["subject"], "what": what}
        if what == "received" and "endpoint" in detail:
            yield ("proof.received_signed" if event["seq"] in signers else "proof.received"), holes
        elif "to" in detail:
            yield "proof.made", holes
        elif event["subject"] in to:
            holes["to"] = to[event["subject"]]
            yield ("proof.answered" if what.startswith("receipt ") else "proof.delivery"), holes
        elif "sha256" in detail:
            yield "proof.message", holes
        else:
            yield "proof.happened", holes
