"""Search, pure: resources to index rows, parameters to queries, queries to SQL.

https://hl7.org/fhir/R4/search.html
"""
