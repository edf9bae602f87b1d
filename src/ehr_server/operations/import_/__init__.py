"""Loading files into the record: NDJSON, single resources and Bundles, plain or gzipped.

Safe to run again: a resource keeps its id, an entry of a transaction that has none takes that of
its `urn:uuid:` fullUrl, and what is there already in the same words is left as it is.
"""
