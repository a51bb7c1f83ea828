"""The journal: what the hub remembers and the only place where its state is written."""
