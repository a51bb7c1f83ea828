"""Simulated counterparties that speak the real protocols: for the demo, for tests, for a port that is being set up."""
