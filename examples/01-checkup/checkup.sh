#!/bin/sh
# Pushes a health checkup to the record: sh checkup.sh [http://127.0.0.1:8080/fhir]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}
VISIT='http://fhir.hl7.org.vn/core/sid/ma-lk|01557.2026.0000456'

# Ask first: the answer to an earlier attempt may have been lost on its way.
if curl -sf --get "$BASE/Encounter" --data-urlencode "identifier=$VISIT" \
    -d _count=0 -d _total=accurate | grep -q '"total":1'; then
  echo "The checkup is stored already; nothing was sent."
  exit 0
fi

answer=$(curl -s -X POST "$BASE" -H 'Content-Type: application/fhir+json' \
  -H 'Accept-Language: vi' --data-binary @"$(dirname "$0")/checkup.json")
case $answer in
  *'"transaction-response"'*) echo "$answer" | grep -o '"location":"[^"]*"' | cut -d'"' -f4 ;;
  *) echo "$answer" >&2; exit 1 ;;
esac
