"""Resources without the person: what a named policy leaves of them.

`policy("research").of(key, year=2026)` makes the function of one export. Nothing here reads a
database or a clock: equal input under an equal key gives equal output, so that a part that is
written twice is the same twice, and the exports of two nights fit together.
docs/explanation/deidentification.md tells what that protects against, and what not.
"""

from ehr_server.deidentify.deidentify import Deidentify
from ehr_server.deidentify.policy import POLICY_TAG, Policy, policies, policy

__all__ = ["POLICY_TAG", "Deidentify", "Policy", "policies", "policy"]
