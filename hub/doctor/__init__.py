"""`eport doctor`: everything that should be looked at when somebody is called at night, as a table of small checks."""
