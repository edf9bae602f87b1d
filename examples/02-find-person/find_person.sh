#!/bin/sh
# Finds a person by identity card, then by insurance card:
# sh find_person.sh [http://127.0.0.1:8080/fhir]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}

# By POST: a number in an address would end up in the logs of every proxy.
for identifier in \
  'http://fhir.hl7.org.vn/core/sid/cccd|001174000456' \
  'http://fhir.hl7.org.vn/core/sid/bhyt|GD4010112345678'; do
  curl -sf "$BASE/Patient/_search" --data-urlencode "identifier=$identifier"
  echo
done
