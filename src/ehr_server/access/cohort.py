"""Who is meant by a Group: its members, and whom the searches find that it names.

https://hl7.org/fhir/R4/group.html, https://hl7.org/fhir/uv/bulkdata/group.html. A Group that names
searches ("member-filter") has as members whoever meets all of them, by the Patient or by a resource
in the compartment, of those who are listed, or of all where nobody is. It is resolved anew for
each export, by statements that access narrows; a person is meant with all records that were merged.

Persons are compartments here, found by one statement, so that a million are no objects in memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ehr_server.access.directories import ready
from ehr_server.access.include import Reader, read_places
from ehr_server.access.restrict import restrict
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid, NotFound, Unprocessable
from ehr_server.fhir import json, references
from ehr_server.fhir.dates import period
from ehr_server.hashing import person_comp
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.search.parse import parse
from ehr_server.search.query import At, Query
from ehr_server.search.results import is_result_parameter
from ehr_server.search.sql import Sql
from ehr_server.store.read import places

MEMBER_FILTER = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/member-filter"
_LANGUAGE = "application/x-fhir-query"
_GROUPS_MAX = 100  # one within another, in all
_OF_PERSONS = ("person", "animal")  # what Patients are
_AT_ONCE = 10_000


@dataclass(slots=True)
class _Resolving:
    """`reader` for whom, `at` as of when; `path` are the Groups that one stands in, `seen` how many
    there were."""

    reader: Reader
    at: datetime
    path: list[str] = field(default_factory=list)
    seen: int = 0


def members(reader: Reader, group: str, at: datetime) -> array[int]:
    """The compartments of the members of `Group/<group>` at an instant, in order, each once.

    Raises `NotFound` where there is no such Group, `Unprocessable` for one that cannot be resolved:
    it says why.
    """
    return _listed(reader, _of_group(_Resolving(reader, at), group))


def everyone_of(reader: Reader, ids: Sequence[str]) -> array[int]:
    """The compartments of Patients and of the records that were merged with them."""
    return _listed(reader, _these([person_comp(id_) for id_ in ids]))


def not_there(reader: Reader, ids: Sequence[str]) -> list[str]:
    """Those of the ids that are of no Patient here whom the caller may see."""
    missing = []
    for start in range(0, len(ids), _AT_ONCE):
        several = ids[start : start + _AT_ONCE]
        found = places(reader.connection, [("Patient", id_) for id_ in several])
        lie = {id_: (at.comp, at.key) for (_, id_), at in found.items() if at.live}
        seen: set[int] = set()
        if lie:
            query = restrict(Query("Patient", (At(tuple(lie.values())),)), reader.caller)
            plan = ready(reader.connection, query)
            if plan is not None:
                rows = plan.gathered("r.key")
                seen = {key for (key,) in reader.connection.execute(rows.text, rows.params)}
        missing += [id_ for id_ in several if id_ not in lie or lie[id_][1] not in seen]
    return missing


def _listed(reader: Reader, found: Sql) -> array[int]:
    """The persons with all their records, in order."""
    text = (
        f"select distinct coalesce(w.comp, p.comp) comp from ({_persons(found).text}) p"
        " left join merged w on w.person = p.comp order by 1"
    )
    listed = array("q")
    with reader.connection.cursor(binary=True) as cursor:
        for (comp,) in cursor.stream(text, found.params, size=_AT_ONCE):
            listed.append(comp)
    return listed


def _these(comps: Sequence[int]) -> Sql:
    return Sql("select unnest(%s::bigint[]) comp", (list(comps),))


def _persons(found: Sql) -> Sql:
    """For each record the compartment of the one that survives, each once."""
    return Sql(
        f"select distinct coalesce(m.person, f.comp) comp from ({found.text}) f"
        " left join merged m on m.comp = f.comp",
        found.params,
    )


def _joined(word: str, parts: Sequence[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    text = f" {word} ".join(f"(select comp from ({part.text}) j)" for part in parts)
    return Sql(text, tuple(value for part in parts for value in part.params))


def _of_group(resolving: _Resolving, id_: str) -> Sql:
    told = f"Group/{id_without_number(id_)}"
    if id_ in resolving.path:
        raise _refused(told, "is a member of itself", "là thành viên của chính nó", "member")
    resolving.seen += 1
    if resolving.seen > _GROUPS_MAX:
        raise _refused(
            told,
            f"leads to more than {_GROUPS_MAX} Groups",
            f"dẫn tới hơn {_GROUPS_MAX} Group",
            "member",
        )
    resolving.path.append(id_)
    group = _read(resolving.reader, id_, told)
    filters = _filters(resolving.reader, group, told)
    _check(group, told, has_filters=bool(filters))
    listed = _members(resolving, group, told)
    resolving.path.pop()
    if not filters:
        return listed or _these(())
    parts = [*((listed,) if listed is not None else ()), *filters]
    return _joined("intersect", [_persons(part) for part in parts])


def _read(reader: Reader, id_: str, told: str) -> Mapping[str, Any]:
    found = places(reader.connection, [("Group", id_)])
    lie = {one: (at.comp, at.key) for one, at in found.items() if at.live}
    matches = read_places(reader, lie) if lie else []
    if not matches:
        raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
    group: Mapping[str, Any] = json.read_stored(matches[0].content)
    return group


def _check(group: Mapping[str, Any], told: str, *, has_filters: bool) -> None:
    if group.get("type") not in _OF_PERSONS:
        raise _refused(
            told,
            "is no group of persons, so it has no records to export",
            "không phải nhóm người nên không có hồ sơ để xuất",
            "type",
        )
    if has_filters or group.get("actual") is True:
        return
    raise _refused(
        told,
        "describes its members and does not list them (actual is false); characteristic is not "
        f"evaluated here: name them by a search in the modifierExtension {MEMBER_FILTER}",
        "chỉ mô tả chứ không liệt kê thành viên (actual là false); ở đây không xét characteristic: "
        f"hãy nêu phép tìm kiếm trong modifierExtension {MEMBER_FILTER}",
        "actual",
    )


def _members(resolving: _Resolving, group: Mapping[str, Any], told: str) -> Sql | None:
    """Those who are listed, None where nobody is. A member that is inactive, or whose period does
    not cover the instant, is none."""
    if not group.get("member"):
        return None
    comps, parts = [], []
    rules = resolving.reader.rules
    for number, member in enumerate(group["member"]):
        dates = member.get("period", {})
        first, end = period(dates.get("start"), dates.get("end"), rules.zone)
        if member.get("inactive") or not first <= resolving.at < end:
            continue
        entity = references.parse(member["entity"].get("reference", ""), rules.base)
        if entity.kind == "local" and entity.type == "Patient" and entity.id:
            comps.append(person_comp(entity.id))
        elif entity.kind == "local" and entity.type == "Group" and entity.id:
            parts.append(_of_group(resolving, entity.id))
        else:
            raise _refused(
                told,
                "has a member that is no Patient and no Group of this server",
                "có thành viên không phải Patient hay Group của máy chủ này",
                f"member[{number}].entity",
            )
    return _joined("union all", [_these(comps), *parts])


def _filters(reader: Reader, group: Mapping[str, Any], told: str) -> list[Sql]:
    """Of each search the compartments in which something is found."""
    found = []
    for number, extension in enumerate(group.get("modifierExtension", ())):
        where = f"modifierExtension[{number}]"
        expression = extension.get("valueExpression", {})
        if extension.get("url") != MEMBER_FILTER or expression.get("language") != _LANGUAGE:
            raise _refused(
                told,
                f"has a modifierExtension that is not understood here: {MEMBER_FILTER} is, with a "
                f"valueExpression in {_LANGUAGE}",
                f"có modifierExtension không hiểu được: ở đây chỉ hiểu {MEMBER_FILTER}, với "
                f"valueExpression dạng {_LANGUAGE}",
                where,
            )
        query = _query(reader, expression.get("expression", ""), told, where)
        found.append(_compartments(reader, query))
    return found


def _query(reader: Reader, text: str, told: str, where: str) -> Query:
    type_name, _, asked = text.partition("?")
    if type_name not in of_patients():
        raise _refused(
            told,
            "names a search that is not of Patients or of what lies in their compartments, such as "
            "Condition?code=E11.9",
            "nêu phép tìm kiếm không thuộc Patient hay ngăn dữ liệu của Patient, ví dụ "
            "Condition?code=E11.9",
            where,
        )
    pairs = parse_qsl(asked, keep_blank_values=True)
    if not pairs or any(is_result_parameter(name) for name, _ in pairs):
        raise _refused(
            told,
            "names a search without criteria, or with parameters of the result such as _sort",
            "nêu phép tìm kiếm không có điều kiện, hoặc có tham số kết quả như _sort",
            where,
        )
    try:
        return parse(type_name, pairs, reader.rules)
    except Invalid as refusal:
        issues = [
            Issue(one.severity, one.code, f"{told}: {one.text}", (f"Group.{where}",), vi=one.vi)
            for one in refusal.issues
        ]
        raise Unprocessable(issues=issues) from None


def of_patients() -> Sequence[str]:
    """Patient, and the types that lie in the compartment of one, sorted."""
    inside = definitions().compartments["Patient"]
    return sorted({"Patient", *(name for name, codes in inside.items() if codes)})


def _compartments(reader: Reader, query: Query) -> Sql:
    """Those in which something is found, at home there or not."""
    plan = ready(reader.connection, restrict(query, reader.caller))
    if plan is None:
        return _these(())
    if query.type == "Patient":
        return plan.gathered("r.comp")
    found = plan.gathered("r.comp, r.key")
    text = (
        f"with found as materialized ({found.text})"
        " select comp from found where comp & 1 = 1"
        " union all select m.comp from found f join member m on m.key = f.key and m.home = f.comp"
    )
    return Sql(text, found.params)


def _refused(told: str, text: str, vi: str, where: str) -> Unprocessable:
    issue = Issue(
        "error", "not-supported", f"{told} {text}.", (f"Group.{where}",), vi=f"{told} {vi}."
    )
    return Unprocessable(issues=[issue])
