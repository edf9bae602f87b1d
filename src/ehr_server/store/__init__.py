"""PostgreSQL: the only room that speaks SQL to a database (psycopg, SQLAlchemy, Alembic)."""
