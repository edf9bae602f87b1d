"""Callers with rights, where no server settles them."""

from zoneinfo import ZoneInfo

from ehr_server.access.caller import Caller
from ehr_server.access.policies import policies
from ehr_server.access.principal import Principal
from ehr_server.access.rights import Rights
from ehr_server.search.rules import Rules


def narrowed(policy: str, facility: str | None = None) -> Caller:
    """One with all that a policy allows."""
    principal = Principal("somebody", "somebody", policy=policy, facility=facility)
    rules = Rules(ZoneInfo("Asia/Ho_Chi_Minh"))
    return Caller("somebody", principal, rights=Rights(policies(None)[policy], principal, rules))
