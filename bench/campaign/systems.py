"""The code systems and identifier systems that the campaign writes.

Identifier systems are those of HL7 Vietnam's VN Core. What the server's own profiles ask has the
systems of those; codes that neither holds (distances of hearing) have systems under `example.org`.
"""

_CORE = "http://fhir.hl7.org.vn/core"
_THO = "http://terminology.hl7.org/CodeSystem"
_OWN = "http://example.org/fhir"
_LOCAL = "http://ehr-server.org/fhir/vn"  # the profiles that the server brings

CCCD = f"{_CORE}/sid/cccd"  # identity card: 12 digits
BHYT = f"{_CORE}/sid/bhyt"  # health insurance card: 15 characters
FACILITY = f"{_CORE}/sid/ma-cskcb"  # facility: 5 digits
VISIT = f"{_CORE}/sid/ma-lk"  # key of one visit or checkup
KINSHIP = f"{_OWN}/sid/kinship"  # card of a child, card of the parent: a person has several
LICENCE = f"{_CORE}/sid/cchn"  # practising certificate

ETHNICITY_EXTENSION = f"{_CORE}/StructureDefinition/vn-ext-ethnicity"
OCCUPATION_EXTENSION = f"{_CORE}/StructureDefinition/vn-ext-occupation"
PROVINCE_EXTENSION = f"{_CORE}/StructureDefinition/vn-ext-province"
WARD_EXTENSION = f"{_CORE}/StructureDefinition/vn-ext-ward"
CARD_TYPE_EXTENSION = f"{_CORE}/StructureDefinition/vn-ext-bhyt-card-type"
FUNDING_EXTENSION = f"{_LOCAL}/StructureDefinition/funding-source"

ETHNICITY = f"{_CORE}/CodeSystem/vn-ethnicity-cs"
PROVINCE = f"{_CORE}/CodeSystem/vn-province-cs"
WARD = f"{_CORE}/CodeSystem/vn-ward-cs"
CARD_TYPE = f"{_CORE}/CodeSystem/vn-bhyt-card-type-cs"
SUBJECT_GROUP = f"{_CORE}/CodeSystem/vn-health-checkup-subject-cs"
CHECKUP_FORM = f"{_LOCAL}/CodeSystem/checkup-form"
FUNDING = f"{_LOCAL}/CodeSystem/funding-source"
OCCUPATION = "http://fhir.ehealth.gov.vn/core/CodeSystem/vn-core-occupation-4069"

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
CVX = "http://hl7.org/fhir/sid/cvx"
SNOMED = "http://snomed.info/sct"

ALLERGY_CLINICAL = f"{_THO}/allergyintolerance-clinical"
ALLERGY_VERIFICATION = f"{_THO}/allergyintolerance-verification"
ACT_CODE = f"{_THO}/v3-ActCode"
CONDITION_CATEGORY = f"{_THO}/condition-category"
CONDITION_CLINICAL = f"{_THO}/condition-clinical"
CONDITION_VERIFICATION = f"{_THO}/condition-ver-status"
DIAGNOSTIC_SERVICE = f"{_THO}/v2-0074"
IDENTIFIER_TYPE = f"{_THO}/v2-0203"
INTERPRETATION = f"{_THO}/v3-ObservationInterpretation"
OBSERVATION_CATEGORY = f"{_THO}/observation-category"
ORGANIZATION_TYPE = f"{_THO}/organization-type"
PROVENANCE_AGENT = f"{_THO}/provenance-participant-type"
RELATIONSHIP = f"{_THO}/v3-RoleCode"

HEALTH_CLASS = f"{_OWN}/CodeSystem/health-class"
FINDING = f"{_OWN}/CodeSystem/checkup-finding"
QUESTIONNAIRE = f"{_OWN}/Questionnaire/checkup-history"
