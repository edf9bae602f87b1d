"""The interactions of the RESTful API, one file each, in the standard's words.

https://hl7.org/fhir/R4/http.html
"""
