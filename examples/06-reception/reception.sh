#!/bin/sh
# Looks up a person by whatever is on the table; run reception.py first, which stores them:
# sh reception.sh [http://127.0.0.1:8080/fhir]
set -eu
BASE=${1:-${FHIR_BASE:-http://127.0.0.1:8080/fhir}}

# By POST: a number in an address would end up in the logs of every proxy.
find() { curl -sf "$BASE/Patient/_search" --data-urlencode "$1"; echo; }

echo "# By the CCCD"
find 'identifier=http://fhir.hl7.org.vn/core/sid/cccd|001192000601'

echo "# By the BHYT card, and by its last ten digits"
find 'identifier=http://fhir.hl7.org.vn/core/sid/bhyt|GD4010192000601'
find 'identifier=http://fhir.hl7.org.vn/core/sid/bhyt|0192000601'

echo "# By a number of which nobody knows the kind"
find 'identifier=001192000601'

echo "# By the old number"
find 'identifier=http://fhir.hl7.org.vn/core/sid/cmnd|012000601'

echo "# The child, by the mother's card"
find '_has:RelatedPerson:patient:identifier=http://fhir.hl7.org.vn/core/sid/cccd|001192000601'
