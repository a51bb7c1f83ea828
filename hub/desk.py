"""What every step of a worker needs: the declarations, what the journal knows of this batch, new references, now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.journal.numbers import Numbers
from hub.journal.recall import Recall
from hub.site.site import Site


@dataclass(frozen=True, slots=True)
class Desk:
    """One batch's desk. `now` is the time of the round: every step of it happens at that time."""

    site: Site
    recall: Recall
    numbers: Numbers
    now: datetime

    @property
    def look_by(self) -> datetime:
        """By when somebody should have looked at what is held now."""
        return self.now + self.site.routes.attention
