"""Mappings checked on both sides before they run: what the target demands, and what the sources can give."""
