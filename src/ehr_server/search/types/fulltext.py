"""The words of the narrative, `_text`, and of the whole content, `_content`.

https://hl7.org/fhir/R4/search.html#text. A resource's words lie beside it in one tsvector, those
of the narrative with the weight A. What can be asked for is told by `search.sought`, what counts as
a word by `search.words`; types that the setting `full_text` leaves out have no words in the index.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.search import sought
from ehr_server.search.escapes import unescape
from ehr_server.search.facts import Facts
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sought import Sought
from ehr_server.search.sql import Sql
from ehr_server.search.words import places

NARRATIVE, CONTENT = "_text", "_content"
CODES = (NARRATIVE, CONTENT)


def source(type_name: str, code: str) -> Source:
    """Where `_text` or `_content` of the type is looked for: the value is the whole resource."""
    number = definitions().search_parameters[type_name][code].number
    return Source(Parameter(number, type_name, code, "fulltext", code, (), frozenset()))


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """Nothing: the words are those of the whole resource, and `search.index` takes them."""
    return None


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Sought:
    """Words, phrases and what stands between them."""
    found = sought.read(unescape(text))
    if not rules.has_full_text(source.parameter.base):
        raise Malformed(
            f"is not kept for {source.parameter.base}: the setting full_text (EHR_FULL_TEXT) of "
            "this server names the types whose words it keeps",
            f"không được lưu cho {source.parameter.base}: xem cài đặt full_text (EHR_FULL_TEXT)",
            is_unsupported=True,
        )
    return found


def where(terms: Sequence[Sought], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """The resource has words, and one of the terms is met by them."""
    number = definitions().type_number[parameter.base]
    weight = "A" if parameter.code == NARRATIVE else ""
    return Sql(
        f"exists (select from full_text x where x.comp = {row}.comp and x.key = {row}.key"
        f" and x.type = {number} and x.words @@ %s::tsquery)",
        (" | ".join(sought.tsquery(term, weight) for term in terms),),
    )


def matches(term: Sought, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether the value, which is the resource itself, has what is sought."""
    return sought.is_met(term, places(value), is_narrative=parameter.code == NARRATIVE)
