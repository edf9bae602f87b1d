"""`ehr-server doctor`: what is wrong with an installation and its database, and what mends it.

`examine` gathers and asks; each other module holds a table of checks, a function each.
"""
