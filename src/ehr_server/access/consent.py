"""Who asks, as consents see it; and resources in hand, held against them.

https://hl7.org/fhir/R4/consent.html. Queries have the criterion `Disclosable`; what is told by
another way, such as a history, is asked here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.purpose import BROKEN_GLASS, TREATMENT
from ehr_server.consent.decide import decide
from ehr_server.consent.rule import Ask, actor, purpose
from ehr_server.search.index import index
from ehr_server.search.marks import seen
from ehr_server.search.rules import Rules
from ehr_server.store.connect import Connection
from ehr_server.store.directives import rules_of

# Law 91/2025: no use of these without an explicit consent, which can be taken back.
OPT_IN = frozenset(("HRESCH", "HPAYMT", "HMARKT"))

Placed = tuple[int, dict[str, Any]]  # a resource, with its id, and the compartment it lies in


def ask_of(caller: Caller, may_tell: Collection[str], at: datetime) -> Ask:
    """Who asks, what for, and what is open to them: `may_tell` are the reasons for which a policy
    opens what is restricted, `at` is now."""
    principal = caller.principal
    given = []
    if principal is not None:
        given = [
            ("Organization", principal.facility),
            (principal.user or "").partition("/")[::2],
            ("Patient", principal.patient),
        ]
    why = caller.purpose or TREATMENT
    return Ask(
        tuple(actor(type_name, id_) for type_name, id_ in given if type_name and id_),
        (purpose(why),),
        at,
        frozenset(may_tell),
        "closed" if why in OPT_IN else "open",
        is_broken=why == BROKEN_GLASS,
    )


def told(connection: Connection, resources: Sequence[Placed], ask: Ask, rules: Rules) -> list[bool]:
    """Whether each of the resources may be told, which need not be the newest version, nor stored:
    by what the persons concerned say now."""
    held = [seen(one, index(one, rules), comp) for comp, one in resources]
    directives = rules_of(connection, {comp for one in held for comp in one.comps})
    return [decide(directives, one, ask) for one in held]
