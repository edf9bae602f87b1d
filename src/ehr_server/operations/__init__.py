"""Operations ($name), one module or folder each, found by a scan for `ROUTES`.

https://hl7.org/fhir/R4/operations.html
"""
