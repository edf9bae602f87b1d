"""What a person allows and forbids, as rules that a statement and a function decide by alike.

https://hl7.org/fhir/R4/consent.html, docs/decisions/0031-consent-in-the-query.md. Pure.
"""
