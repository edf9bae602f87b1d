"""Who calls, as a token or a client's registration says it: facts, no decision."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """`client`: the program that calls, by its id; `subject`: in whose name it does (`sub`), which
    for a program on its own account is the client again. `issuer`: who says so, "" for our own
    token endpoint.

    `scopes` as granted, in SMART's words (`system/Observation.rs`). `policy`: the name of the
    policy that says what such callers may do (`access.policies`). `facility`: the id of the
    Organization that it works for. `user`: the fhirUser, such as `Practitioner/7`. `patient`: the
    id of the Patient in whose context it calls. `purposes`: what it may ask for data for, codes of
    http://terminology.hl7.org/CodeSystem/v3-ActReason. `expires`: seconds since 1970.
    """

    client: str
    subject: str
    issuer: str = ""
    scopes: tuple[str, ...] = ()
    policy: str = ""
    facility: str | None = None
    user: str | None = None
    patient: str | None = None
    purposes: tuple[str, ...] = ()
    expires: int = 0
