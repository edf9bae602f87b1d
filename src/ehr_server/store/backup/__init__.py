"""The whole record in one file, written while serving, and read back into an empty database.

`archive` is the form of the file, `backup` writes it, `restore` reads it. docs/decisions/0014 has
the reasons, docs/guides/backup.md the use.
"""
