"""Tables for analysts: what is kept as resources, made into rows and columns.

Views by SQL on FHIR v2 (https://sql-on-fhir.org/ig/) are checked, compiled to closures once and
run on resources (`view`); rows become Parquet, CSV, NDJSON and JSON. Pure: neither the database
nor a request is known here.
"""
