"""The engine wires a site, its journal and its adapters into running roles."""
