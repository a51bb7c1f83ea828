"""The site: everything that is declared, read once, cross-checked, frozen."""
