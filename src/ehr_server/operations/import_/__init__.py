"""$import: files of resources taken in, in the background.

https://github.com/smart-on-fhir/bulk-import/blob/master/import.md, in the forms that clients send:
its JSON, the same as Parameters (HAPI, Microsoft), or the NDJSON itself as the body. A job does it
(`jobs.import_`); the status address tells how far it is, then what came of it.
"""

from ehr_server.call import Route
from ehr_server.operations.import_.kick_off import import_
from ehr_server.operations.import_.status import cancel, download, status

_DEFINITION = "http://ehr-server.org/fhir/OperationDefinition/import"

ROUTES = (
    Route(_DEFINITION, "POST", "$import", import_),
    Route("import-status", "GET", "$import-status/{job}", status),
    Route("import-cancel", "DELETE", "$import-status/{job}", cancel),
    Route("import-report", "GET", "$import-status/{job}/{file}", download),
)
