"""Alarms: whom to tell, by which way, that something waits. Declared in routes.yaml (hub.site.model.Alarm).

    filing    which rows of the list of what waits concern which alarm, and which have left it   (clock)
    telling   one notice for all that one alarm has to tell; tried again until it is told        (clock, a thread each)
    notice    what a notice says, in both languages, as text and as JSON
    channels  command, mail, webhook

An alarm is told once for each time that a row enters the list, again every `repeat` while it is there, and when it has
left it where `resolved` says so. It is told at least once: a crash between the telling and its commit repeats it.
"""
