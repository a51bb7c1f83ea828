"""Simulated counterparties and the show that `eport demo` runs."""
