"""A bench for one mapping: source, rules and output beside each other in a browser of the same machine (`eport play`).

spans     where values stand in a text, as the browser counts
meaning   what the standards say of each place of a message
draft     a mapping file as it is being written, in the place of the one of the site
bench     from a source and a mapping to the output, its fields and all findings
server    the page, and the one question that it asks
"""
