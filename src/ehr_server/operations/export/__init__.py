"""$export: the record as NDJSON files, made in the background.

https://hl7.org/fhir/uv/bulkdata/export.html. The kick-off stores a job, which a worker does; the
status address tells how far it is, then lists the files; DELETE there ends it and removes them.
"""

from ehr_server.call import Route
from ehr_server.operations.export.download import download
from ehr_server.operations.export.kick_off import (
    export_group,
    export_patient,
    export_patients,
    export_system,
)
from ehr_server.operations.export.status import cancel, status

_SYSTEM = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
_PATIENTS = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"

_GROUP = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"
_PATIENT = "http://ehr-server.org/fhir/OperationDefinition/patient-record-export"

ROUTES = (
    Route(_SYSTEM, "GET", "$export", export_system),
    Route(_SYSTEM, "POST", "$export", export_system),
    Route(_PATIENTS, "GET", "Patient/$export", export_patients),
    Route(_PATIENTS, "POST", "Patient/$export", export_patients),
    Route(_GROUP, "GET", "Group/{id}/$export", export_group),
    Route(_GROUP, "POST", "Group/{id}/$export", export_group),
    Route(_PATIENT, "GET", "Patient/{id}/$export", export_patient),
    Route(_PATIENT, "POST", "Patient/{id}/$export", export_patient),
    Route("export-status", "GET", "$export-status/{job}", status),
    Route("export-cancel", "DELETE", "$export-status/{job}", cancel),
    Route("export-download", "GET", "$export-status/{job}/{file}", download),
)
