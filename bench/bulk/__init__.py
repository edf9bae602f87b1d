"""How quickly a city's records go out and come in, beside what PostgreSQL alone takes."""
