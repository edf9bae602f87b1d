"""$receipt and $receipts: what became of a push, and of all pushes of a day.

Operations of this server, not of the standard; described in docs/guides/pushing.md. Every push
that comes under a key leaves a receipt (`store.receipts`); these tell of them.
"""

from ehr_server.call import Route
from ehr_server.operations.receipt.day import receipts
from ehr_server.operations.receipt.one import receipt

ONE = "http://ehr-server.org/fhir/OperationDefinition/receipt"
DAY = "http://ehr-server.org/fhir/OperationDefinition/receipts"

ROUTES = (
    Route(ONE, "GET", "$receipt", receipt),
    Route(ONE, "POST", "$receipt", receipt),
    Route(DAY, "GET", "$receipts", receipts),
    Route(DAY, "POST", "$receipts", receipts),
)
