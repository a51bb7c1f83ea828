"""The table of faults: a port under load whose network, disk, database, broker, clock or parties fail, and a checker
that shares no code with the hub.

    row       what a row of the table is, and one at work
    campaign  the table, and what a run of it shows
    proxy     a network that can be cut at any byte
    others    the rows themselves, by what fails
"""
