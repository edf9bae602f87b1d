"""PostgreSQL: the only room that talks to a database (psycopg, SQLAlchemy, Alembic).

Statements stand here too, but for those that a search is made into: `search.plan` writes them as
text, and `access.find` hands them over.
"""
