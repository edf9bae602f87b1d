#!/bin/sh
# Exports the record as NDJSON: sh export.sh [http://127.0.0.1:8080/fhir [FOLDER]]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}
OUT=${2:-export}
mkdir -p "$OUT"

status_url=$(curl -sf -D - -o /dev/null "$BASE/\$export" \
  -H 'Accept: application/fhir+json' -H 'Prefer: respond-async' |
  tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ocation: *//p')

# 202 means that the export is under way, 200 brings the manifest.
while code=$(curl -sf -o "$OUT/manifest.json" -w '%{http_code}' "$status_url") && [ "$code" = 202 ]
do sleep 1; done
[ "$code" = 200 ] || exit 1

lines=0
for url in $(grep -o '"url":"[^"]*"' "$OUT/manifest.json" | cut -d'"' -f4); do
  file=$OUT/$(basename "$url")
  curl -sf "$url" -o "$file"
  lines=$((lines + $(wc -l < "$file")))
done
curl -sf -X DELETE "$status_url" >/dev/null # the server may drop its files now
echo "$lines"
