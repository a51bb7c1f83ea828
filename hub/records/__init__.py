"""JSON, CSV and flat records: other ways to write a document whose shape an XML schema defines.

Each is read into the same tree as an XML document and written from it, so that paths, the schema's check, mappings and
keys know nothing of them.
"""
