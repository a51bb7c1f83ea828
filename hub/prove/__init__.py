"""Proof of "nothing lost, nothing twice": a port under load whose processes are killed, and a checker that shares no
code with the hub."""
