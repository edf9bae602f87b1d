"""Implementation guides: FHIR packages are read, checked, stored, and live in every process.

https://hl7.org/fhir/R4/implementationguide.html and, for the form of the files,
https://confluence.hl7.org/display/FHIR/NPM+Package+Specification. `read` takes a file apart,
`dependencies` puts several in order, `check` refuses what cannot be worked with, `load` does all of
it, and `shelf` holds what is loaded for one process.
"""
