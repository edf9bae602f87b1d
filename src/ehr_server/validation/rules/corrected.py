"""Invariants of R4 whose published expression is faulty, and what it should be.

Found by running all invariants on all published examples: each of these refuses what the standard
allows, or can never be false. The words of the invariant, not its expression, say what it means
(https://hl7.org/fhir/R4/conformance-rules.html#constraints).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Correction:
    """The expression as published, as it is enforced, and what was wrong."""

    published: str
    expression: str
    why: str


_NAME = r"""[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}"""
_PATH = rf"{_NAME}(\\.{_NAME}(\\[x\\])?(\\:[^\\s\\.]+)?)*"
_CODED = (
    "(code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') "
    "or (code = 'string') or (code = 'uri')"
)
_MEALS = "('C' | 'CM' | 'CD' | 'CV')"

CORRECTED: Mapping[tuple[str, str], Correction] = MappingProxyType(
    {
        ("ElementDefinition", "eld-11"): Correction(
            f"binding.empty() or type.code.empty() or type.select({_CODED}).exists()",
            f"binding.empty() or type.code.empty() or type.where({_CODED}).exists()",
            "select() of a test yields true or false, so that it always yields something",
        ),
        ("ElementDefinition", "eld-19"): Correction(
            f"path.matches('{_PATH}')",
            f"path.matches('^{_PATH}$')",
            "matches() looks for a part of the text: any path has one that is sound",
        ),
        ("Questionnaire.item", "que-12"): Correction(
            "enableWhen.count() > 2 implies enableBehavior.exists()",
            "enableWhen.count() > 1 implies enableBehavior.exists()",
            "the rule is of more than one enableWhen, not of more than two",
        ),
        ("Questionnaire.item.enableWhen", "que-7"): Correction(
            "operator = 'exists' implies (answer is Boolean)",
            "operator = 'exists' implies (answer is boolean)",
            "Boolean is a type of FHIRPath, an answer is of FHIR's own type boolean",
        ),
        ("Timing.repeat", "tim-9"): Correction(
            f"offset.empty() or (when.exists() and ((when in {_MEALS}).not()))",
            f"offset.empty() or (when.exists() and when.select($this in {_MEALS}).allFalse())",
            "when may come several times, of which `in` can ask but for one",
        ),
    }
)
