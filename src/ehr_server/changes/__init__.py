"""The one write path. A single create is a transaction of one.

changes -> resolve conditionals -> rewrite references -> gather -> check -> commit
"""
