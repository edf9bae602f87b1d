"""`_include` and `_revinclude`: what comes along with what is found.

https://hl7.org/fhir/R4/search.html#revinclude
"""

from ehr_server.definitions import definitions
from ehr_server.search.criteria import references
from ehr_server.search.malformed import Malformed
from ehr_server.search.query import Include
from ehr_server.search.rules import Rules

_MODIFIERS = ("", "iterate", "recurse")  # STU3 said recurse


def include(code: str, modifier: str, value: str, rules: Rules) -> Include:
    """`Observation:subject`, `Observation:subject:Patient`, `Observation:*`, `*`.

    Raises `Malformed` for what is no reference parameter of a type.
    """
    if modifier not in _MODIFIERS:
        raise Malformed(
            f"has the modifier :{modifier}; it takes :iterate alone",
            f"có bổ ngữ :{modifier}; chỉ nhận :iterate",
        )
    is_reverse, iterates = code == "_revinclude", modifier != ""
    if value == "*":
        return Include("", None, None, iterates, is_reverse)
    type_name, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    types = definitions().type_number
    if type_name not in types or not name or (target and target not in types):
        raise Malformed(
            "must be Type:reference or Type:reference:Type, such as Observation:subject",
            "phải là Loại:tham chiếu hoặc Loại:tham chiếu:Loại, ví dụ Observation:subject",
        )
    if name == "*":
        return Include(type_name, None, target or None, iterates, is_reverse)
    sources = references(type_name, name, rules)
    targets = {one for source in sources for one in source.targets}
    if target and targets and target not in targets:
        raise Malformed(
            f"goes on to {target}, to which {name} cannot refer",
            f"nối tới {target}, {name} không thể tham chiếu tới",
        )
    return Include(type_name, sources[0], target or None, iterates, is_reverse)
