"""Searches made by a seed for a record of `law_resources`: every parameter, modifier and prefix.

The values are taken from the resources, so that many match, and changed a little, so that some do
not. What is made may be refused, as `:of-type` of a code is; then another is made.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any
from unicodedata import normalize
from urllib.parse import quote

from ehr_server.fhir import json
from ehr_server.search.match import values
from ehr_server.search.operators import ORDINARY
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.parameters import STANDARD
from properties.law_resources import ABSENT, ACT, CLINICAL, DATES, TYPES, UCUM, Resource
from searching import HERE

PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
SETS = (
    "http://hl7.org/fhir/ValueSet/condition-clinical",
    "http://hl7.org/fhir/ValueSet/administrative-gender",
    "http://hl7.org/fhir/ValueSet/observation-status",
    "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode",
    "http://hl7.org/fhir/ValueSet/data-absent-reason",
    "http://hl7.org/fhir/ValueSet/observation-category",
)
ABOVE = (
    *(f"{CLINICAL}|active", f"{CLINICAL}|relapse", f"{CLINICAL}|inactive", f"{ABSENT}|unknown"),
    *(f"{ACT}|_ActEncounterCode", f"{ACT}|ACUTE"),
)
_MODIFIERS = {
    "token": ("", "", "", "not", "text", "in", "not-in", "above", "below", "of-type"),
    "string": ("", "", "exact", "contains"),
    "reference": ("", "", "", "identifier", "type", "above", "below"),
    "uri": ("", "", "above", "below"),
}
_CHAINED_MAX = 3
PARTED = ("Organization", "Location", "Encounter")  # types whose resources are parts of others


class Asker:
    """Makes addresses such as `Patient?name=hoa`."""

    def __init__(self, chance: random.Random, resources: Sequence[Resource]) -> None:
        self._chance = chance
        self._of: dict[str, list[Resource]] = {name: [] for name in TYPES}
        for one in resources:
            self._of[one["resourceType"]].append(one)
        self._known: dict[Parameter, list[tuple[str, Any]]] = {}

    def addresses(self, type_name: str) -> Iterator[str]:
        """One for each parameter with each modifier, then ever more of all kinds."""
        here = STANDARD.of(type_name)
        for code in sorted({*here.by_code, *here.composites}):
            for modifier in self._modifiers(type_name, code):
                yield self._address(type_name, [self._simple(type_name, code, modifier)])
        while True:
            yield from self.mixed(type_name, 1)

    def mixed(self, type_name: str, count: int) -> Iterator[str]:
        """So many with one to three criteria of all kinds."""
        makers = (self._any_simple, self._any_simple, self._chain, self._has, self._filter)
        for _ in range(count):
            several = self._chance.choice((1, 1, 1, 2, 3))
            pairs = [self._chance.choice(makers)(type_name, 0) for _ in range(several)]
            if self._chance.random() < 0.05:
                ids = [f"r{self._chance.randrange(9)}" for _ in range(self._chance.randint(1, 3))]
                pairs.append(("_list", ",".join(ids)))
            if self._chance.random() < 0.15:
                pairs += self._together(type_name)
            yield self._address(type_name, pairs)

    def _together(self, type_name: str) -> Iterator[tuple[str, str]]:
        """Main code, main date and person, which the index keeps together."""
        here, chance = STANDARD.of(type_name), self._chance
        if here.main_code is not None:
            yield self._simple(type_name, here.main_code.code, "")
        if here.main_date is not None:
            yield self._simple(type_name, here.main_date.code, chance.choice(("ge", "gt", "lt")))
        if "patient" in here.by_code and chance.random() < 0.5:
            yield "patient", f"r{chance.randrange(9)}"

    def chained(self, type_name: str, count: int) -> Iterator[str]:
        """So many chains, there and back."""
        for _ in range(count):
            maker = self._chance.choice((self._chain, self._has))
            yield self._address(type_name, [maker(type_name, 0)])

    def _address(self, type_name: str, pairs: Sequence[tuple[str, str]]) -> str:
        return f"{type_name}?{'&'.join(f'{name}={quote(value)}' for name, value in pairs)}"

    def _modifiers(self, type_name: str, code: str) -> Iterator[str]:
        here = STANDARD.of(type_name)
        if code in here.composites:
            yield from ("", "", "")
            return
        kind = here.by_code[code][0].parameter.type
        yield from (*dict.fromkeys(_MODIFIERS.get(kind, PREFIXES)), "missing", "missing")

    def _any_simple(self, type_name: str, depth: int) -> tuple[str, str]:
        here = STANDARD.of(type_name)
        code = self._chance.choice(sorted({*here.by_code, *here.composites}))
        return self._simple(
            type_name, code, self._chance.choice([*self._modifiers(type_name, code)])
        )

    def _simple(self, type_name: str, code: str, modifier: str) -> tuple[str, str]:
        here, chance = STANDARD.of(type_name), self._chance
        count = chance.choice((1, 1, 1, 2, 3))
        if code in here.composites:
            return code, ",".join(self._composite(type_name, code) for _ in range(count))
        sources = here.by_code[code]
        kind = sources[0].parameter.type
        if modifier == "missing":
            return f"{code}:missing", chance.choice(("true", "false"))
        if kind in ("date", "number", "quantity"):
            made = [self._value(sources, "") for _ in range(count)]
            return code, ",".join(modifier + one for one in made)
        if modifier == "type":
            modifier = chance.choice([one for one in TYPES if one in sources[0].targets] or TYPES)
        name = f"{code}:{modifier}" if modifier else code
        return name, ",".join(self._value(sources, modifier) for _ in range(count))

    def _composite(self, type_name: str, code: str) -> str:
        """Values of one place, as often as not, so that both are met there."""
        context = self._chance.choice(STANDARD.of(type_name).composites[code])
        inside = context.inside
        if inside is None:
            one = self._chance.choice(self._of[type_name])
            parts = [self._of_one(sources, one) for _, sources in context.outside]
            return "$".join(parts)
        firsts: dict[int, str] = {at: self._value(own, "") for at, own in context.outside}
        for at, part in zip(context.within, inside.parts, strict=True):
            firsts[at] = self._value((Source(part.parameter),), "")
        return "$".join(firsts[at] for at in sorted(firsts))

    def _of_one(self, sources: Sequence[Source], resource: Resource) -> str:
        found = [(source, one) for source in sources for one in values(source.parameter, resource)]
        if not found:
            return self._value(sources, "")
        source, (type_name, value) = self._chance.choice(found)
        return self._text(source, type_name, value, "")

    def _value(self, sources: Sequence[Source], modifier: str) -> str:
        source = self._chance.choice(sources)
        known = self._values(source.parameter)
        if not known:
            return self._chance.choice(("718-7", "2024", "r1", "5", "hoa"))
        type_name, value = self._chance.choice(known)
        return self._text(source, type_name, value, modifier)

    def _values(self, parameter: Parameter) -> list[tuple[str, Any]]:
        if parameter not in self._known:
            self._known[parameter] = [
                found for one in self._of[parameter.base] for found in values(parameter, one)
            ]
        return self._known[parameter]

    def _text(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        makers: dict[str, Callable[[Source, str, Any, str], str]] = {
            "token": self._token, "string": self._string, "date": self._date,
            "number": self._number, "quantity": self._quantity, "reference": self._reference,
            "uri": self._uri, "special": self._near,
        }  # fmt: skip
        return makers[source.parameter.type](source, type_name, value, modifier)

    def _token(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        chance = self._chance
        if modifier in ("in", "not-in"):
            return chance.choice(SETS)
        if modifier in ("above", "below"):
            return chance.choice(ABOVE)
        if modifier == "text":
            coding = (value.get("coding") or [value])[0] if isinstance(value, dict) else {}
            text = value.get("text") if isinstance(value, dict) else None
            return self._piece(coding.get("display") or text or "Hemoglobin")
        if not isinstance(value, dict):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            system = source.parameter.system
            return f"{system}|{text}" if system and chance.random() < 0.3 else _escaped(text)
        if modifier == "of-type":
            kinds = (value.get("type") or {}).get("coding") or [{"system": "x", "code": "MR"}]
            number = value.get("value") or "0010"
            closed = number.replace("-", " "), number.replace(" ", ""), number.upper()
            number = _escaped(chance.choice((number, number, *closed)))
            return f"{kinds[0]['system']}|{kinds[0]['code']}|{number}"
        coding = chance.choice(value["coding"]) if "coding" in value else value
        system, code = coding.get("system"), coding.get("code") or coding.get("value") or "x"
        code = _escaped(chance.choice((code, code, code.upper(), code.replace("-", " "))))
        if type_name == "ContactPoint":
            return code
        return chance.choice(
            (code, code, f"|{code}", f"{system or 'http://x.org'}|{code}", f"{system or 'x'}|")
        )

    def _string(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        texts = [value] if isinstance(value, str) else [*_strings(value)]
        text = self._chance.choice(texts or ["hoa"])
        if modifier == "exact":
            return _escaped(self._chance.choice((text, text, text.lower(), normalize("NFD", text))))
        if type_name == "HumanName" and self._chance.random() < 0.3:
            words = " ".join(texts).split()
            return _escaped(
                " ".join(self._piece(word) for word in self._chance.choices(words, k=2))
            )
        return _escaped(self._piece(text))

    def _piece(self, text: str) -> str:
        """A part of it, mostly its beginning, in another guise."""
        chance = self._chance
        start = chance.choice((0, 0, 0, chance.randrange(len(text))))
        part = text[start : start + chance.choice((1, 2, 3, 5, 8, 20))].strip() or text
        guises = (part, part.lower(), part.upper(), normalize("NFD", part), normalize("NFC", part))
        return chance.choice(guises)

    def _date(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        texts = [value] if isinstance(value, str) else [*_strings(value)]
        text = self._chance.choice([one for one in texts if one[:1].isdigit()] or DATES)
        if self._chance.random() < 0.3:
            text = self._chance.choice(DATES)
        return text[: self._chance.choice((4, 7, 10, 40, 40))]

    def _number(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        if isinstance(value, dict):
            value = (value.get("high") or value["low"])["value"]
        number = Decimal(value) + self._chance.choice((0, 0, 0, 1, -1))
        return f"{number}" + self._chance.choice(("", "", ".0" if number == int(number) else ""))

    def _quantity(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        chance = self._chance
        one = value.get("high") or value.get("low") or value
        number = Decimal(one.get("value", 5)) * chance.choice((1, 1, 1, 1, 1000, Decimal("0.001")))
        text = f"{number:f}"
        system, code = one.get("system", ""), one.get("code") or one.get("unit") or "mg"
        other = chance.choice(("mg", "g", "ug", "kg", "Cel", "[degF]", "K", "d", "wk"))
        return chance.choice(
            (
                text,
                f"{text}|{_escaped(system)}|{_escaped(code)}",
                f"{text}||{_escaped(code)}",
                f"{text}||{_escaped(one.get('unit', 'mg'))}",
                f"{text}|{UCUM}|{other}",
            )
        )

    def _reference(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        chance = self._chance
        if modifier == "identifier":
            known = [v for _, v in self._values(source.parameter) if isinstance(v, dict)]
            given = [one["identifier"] for one in known if "identifier" in one]
            one = chance.choice(given or [{"value": "0010"}])
            return self._token(source, "Identifier", one, "")
        if not isinstance(value, dict):  # a canonical
            return self._uri(source, type_name, value, "")
        text = value.get("reference") or "r1"
        id_ = f"r{chance.randrange(9)}"
        if modifier in ("above", "below"):
            return chance.choice((text, f"{chance.choice(PARTED)}/{id_}"))
        if modifier:
            return chance.choice((id_, id_, f"{modifier}/{id_}", f"{HERE}/{modifier}/{id_}"))
        targets = [one for one in source.targets if one in TYPES] or ["Patient"]
        target = chance.choice(targets)
        return chance.choice((text, text, id_, f"{target}/{id_}", f"{HERE}/{target}/{id_}",
                              f"{target}/{id_}/_history/1"))  # fmt: skip

    def _uri(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        chance = self._chance
        cut = value.rsplit("/", chance.choice((0, 0, 1, 2)))[0]
        return _escaped(chance.choice((value, cut, value + "/c", value.partition("|")[0])))

    def _near(self, source: Source, type_name: str, value: Any, modifier: str) -> str:
        latitude, longitude = value["latitude"], value["longitude"]
        distance = self._chance.choice(("", "|1", "|5|km", "|20000|m", "|1200|km", "|3|[mi_i]"))
        return f"{latitude + self._chance.choice((0, Decimal('0.05')))}|{longitude}{distance}"

    def _chain(self, type_name: str, depth: int) -> tuple[str, str]:
        found = [
            (code, target)
            for code, sources in STANDARD.of(type_name).by_code.items()
            if sources[0].parameter.type == "reference"
            for target in TYPES
            if any(target in source.targets for source in sources)
        ]
        if not found:
            return self._any_simple(type_name, depth)
        code, target = self._chance.choice(found)
        name, value = self._inner(target, depth)
        step = code if self._chance.random() < 0.4 else f"{code}:{target}"
        return f"{step}.{name}", value

    def _has(self, type_name: str, depth: int) -> tuple[str, str]:
        found = [
            (other, code)
            for other in TYPES
            for code, sources in STANDARD.of(other).by_code.items()
            if sources[0].parameter.type == "reference"
            and any(type_name in source.targets for source in sources)
        ]
        if not found:
            return self._any_simple(type_name, depth)
        other, code = self._chance.choice(sorted(found))
        name, value = self._inner(other, depth)
        return f"_has:{other}:{code}:{name}", value

    def _inner(self, type_name: str, depth: int) -> tuple[str, str]:
        makers = [self._any_simple] * 3
        if depth + 1 < _CHAINED_MAX:
            makers += [self._chain, self._has]
        return self._chance.choice(makers)(type_name, depth + 1)

    def _filter(self, type_name: str, depth: int) -> tuple[str, str]:
        return "_filter", self._node(type_name, 0)

    def _node(self, type_name: str, depth: int) -> str:
        kind = self._chance.random()
        if depth < 2 and kind < 0.25:
            word = self._chance.choice(("and", "or"))
            return f"({self._node(type_name, depth + 1)} {word} {self._node(type_name, depth + 1)})"
        if depth < 2 and kind < 0.35:
            return f"not({self._node(type_name, depth + 1)})"
        return self._comparison(type_name, depth)

    def _comparison(self, type_name: str, depth: int) -> str:
        chance, here = self._chance, STANDARD.of(type_name)
        code = chance.choice(sorted(here.by_code))
        sources = here.by_code[code]
        kind = sources[0].parameter.type
        targets = [one for one in TYPES if any(one in source.targets for source in sources)]
        if kind == "reference" and targets and depth < 2 and chance.random() < 0.7:
            target = chance.choice(targets)
            where = f"[{self._comparison(target, 2)}]" if chance.random() < 0.4 else ""
            return f"{code}{where}.{self._comparison(target, depth + 1)}"
        if kind not in ORDINARY:
            return f"_id eq r{chance.randrange(9)}"
        operator = chance.choice((*ORDINARY[kind], "pr"))
        if operator == "pr":
            return f"{code} pr {chance.choice(('true', 'false'))}"
        modifier = {"in": "in", "ni": "in", "ss": "below", "sb": "above"}.get(operator, "")
        text = _unescaped(self._value(sources, modifier if kind == "token" else ""), kind)
        return f"{code} {operator} {json.write(text).decode()}"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for child in children:
        yield from _strings(child)


def _escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in ",|$\\" else one for one in text)


def _unescaped(text: str, kind: str) -> str:
    """A filter writes tokens and quantities as a search does, all else as it is."""
    if kind in ("token", "quantity"):
        return text
    return text.replace("\\,", ",").replace("\\|", "|").replace("\\$", "$").replace("\\\\", "\\")
