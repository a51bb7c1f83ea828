"""Where every value that leaves the port came from: from the output through each mapping back to the sender's file.

marks      names for the places of a document
sources    where a value stands in the file that was sent
documents  documents that were made of others, each value with its rules and its sources
explain    every output of a file
rebuild    what was delivered, made again from what the journal keeps
journal    every output of what the journal knows by a reference
pointer    what an answer points to, in what it answers
answer     what an answer points to, in the sender's own file
"""
