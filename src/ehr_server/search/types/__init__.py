"""The types of search parameters, one module each: https://hl7.org/fhir/R4/search.html#ptypes."""
