#!/bin/sh
# Pushes a checkup until it is known to be stored: sh push.sh [http://127.0.0.1:8080/fhir [FILE]]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}
FILE=${2:-$(dirname "$0")/../01-checkup/checkup.json}

# The same file has the same key, a corrected file another.
KEY=$(sha256sum < "$FILE" | cut -c 1-64)

# curl sends again after a broken connection, a time-out, 429 and 503, and waits as Retry-After says.
ANSWER=$(curl -s --retry 12 --retry-all-errors --max-time 30 -X POST "$BASE" \
  -H 'Content-Type: application/fhir+json' -H "Idempotency-Key: $KEY" --data-binary @"$FILE")
case $ANSWER in
  *'"transaction-response"'*) echo "stored $KEY" ;;
  *) echo "$ANSWER" >&2; exit 1 ;;
esac

# What the server knows of it, now or after any time-out.
curl -s --retry 12 --retry-all-errors --get "$BASE/\$receipt" --data-urlencode "key=$KEY"
echo
