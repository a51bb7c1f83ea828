"""Tables of facts, code lists, guides: what the standards say and how it gets here."""
