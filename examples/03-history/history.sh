#!/bin/sh
# Reads a person's medical history: sh history.sh [http://127.0.0.1:8080/fhir]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}

person=$(curl -sf "$BASE/Patient/_search" \
  --data-urlencode 'identifier=http://fhir.hl7.org.vn/core/sid/cccd|001174000456' |
  grep -o '"fullUrl":"[^"]*"' | head -n 1 | cut -d'"' -f4)
[ -n "$person" ] || { echo "No record bears this number. Run 01-checkup first." >&2; exit 1; }
patient=Patient/${person##*/}

echo "# The person, and every version of the person's own data"
curl -sf "$BASE/$patient"; echo
curl -sf "$BASE/$patient/_history"; echo

echo "# Visits, the newest first"
curl -sf --get "$BASE/Encounter" -d "patient=$patient" -d _sort=-date; echo

echo "# Conditions"
curl -sf --get "$BASE/Condition" -d "patient=$patient"; echo

echo "# The newest ten values of HbA1c"
curl -sf --get "$BASE/Observation" -d "patient=$patient" \
  --data-urlencode 'code=http://loinc.org|4548-4' -d _sort=-date -d _count=10; echo
