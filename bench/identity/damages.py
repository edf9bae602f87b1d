"""What happens to a person's data on the way into a second record, and who only looks the same.

Every function takes a Patient and gives a changed copy of it, or None where it cannot happen to
this one. No damage touches the identifiers: whether there is a number is asked apart.
"""

from __future__ import annotations

import unicodedata
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from campaign import systems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

Patient = dict[str, Any]
Damage = "Callable[[Random, Patient], Patient | None]"

_LETTERS = "abcdeghiklmnopqrstuvxy"
_OTHER_WARDS = ("00301", "00082", "00091", "09661", "09022", "17476")


def words(patient: Patient) -> list[str]:
    """The name as written, word by word."""
    return str(patient["name"][0]["text"]).split()


def named(patient: Patient, several: list[str]) -> Patient:
    """A copy with the name of these words, as a text alone."""
    return {**deepcopy(patient), "name": [{"text": " ".join(several)}]}


def as_it_is(_: Random, patient: Patient) -> Patient:
    return deepcopy(patient)


def without_tones(_: Random, patient: Patient) -> Patient:
    return named(patient, [_bare(word) for word in words(patient)])


def capitals(_: Random, patient: Patient) -> Patient:
    return named(patient, [unicodedata.normalize("NFD", word.upper()) for word in words(patient)])


def slip_in_given(random: Random, patient: Patient) -> Patient | None:
    several = words(patient)
    return named(patient, [*several[:-1], _slip(random, several[-1])])


def slip_in_rest(random: Random, patient: Patient) -> Patient | None:
    several = words(patient)
    if len(several) < 2:
        return None
    at = random.randrange(len(several) - 1)
    return named(patient, [*several[:at], _slip(random, several[at]), *several[at + 1 :]])


def wrong_tone(random: Random, patient: Patient) -> Patient | None:
    """One word without its tones in a name that has them otherwise."""
    several = words(patient)
    marked = [at for at, word in enumerate(several) if _bare(word) != word]
    if len(marked) < 2:
        return None
    at = random.choice(marked)
    return named(patient, [*several[:at], _bare(several[at]), *several[at + 1 :]])


def word_lost(random: Random, patient: Patient) -> Patient | None:
    several = words(patient)
    if len(several) < 3:
        return None
    at = random.randrange(1, len(several) - 1)
    return named(patient, [*several[:at], *several[at + 1 :]])


def nickname(random: Random, patient: Patient) -> Patient | None:
    """Called by another given name, as is done in the country."""
    several = words(patient)
    calls = ("Tí", "Tèo", "Út", "Cu", "Bé", "Ba", "Tư", "Năm")
    return named(patient, [*several[:-1], random.choice(calls)])


def given_first(_: Random, patient: Patient) -> Patient | None:
    several = words(patient)
    return named(patient, [several[-1], *several[:-1]]) if len(several) > 1 else None


def day_and_month(_: Random, patient: Patient) -> Patient | None:
    year, *rest = str(patient["birthDate"]).split("-")
    if len(rest) < 2 or rest[1] > "12" or rest[0] == rest[1]:
        return None
    return {**deepcopy(patient), "birthDate": f"{year}-{rest[1]}-{rest[0]}"}


def year_alone(_: Random, patient: Patient) -> Patient | None:
    born = str(patient["birthDate"])
    return {**deepcopy(patient), "birthDate": born[:4]} if len(born) > 4 else None


def first_of_january(_: Random, patient: Patient) -> Patient | None:
    born = str(patient["birthDate"])
    return {**deepcopy(patient), "birthDate": f"{born[:4]}-01-01"} if len(born) > 4 else None


def digit_of_date(random: Random, patient: Patient) -> Patient | None:
    """A wrong digit of the day or of the last place of the year."""
    born = str(patient["birthDate"])
    if len(born) == 4 or random.random() < 0.3:
        other = random.choice([digit for digit in "0123456789" if digit != born[3]])
        return {**deepcopy(patient), "birthDate": born[:3] + other + born[4:]}
    day = random.choice([day for day in range(1, 29) if _one_digit_off(f"{day:02}", born[8:])])
    return {**deepcopy(patient), "birthDate": f"{born[:8]}{day:02}"}


def other_ward(random: Random, patient: Patient) -> Patient:
    """Moved, with another telephone number."""
    moved = deepcopy(patient)
    address = moved["address"][0]
    ward = random.choice(_OTHER_WARDS)
    address["extension"] = [
        one
        if one["url"] != systems.WARD_EXTENSION
        else {"url": systems.WARD_EXTENSION, "valueCoding": {"system": systems.WARD, "code": ward}}
        for one in address["extension"]
    ]
    address["line"] = [f"Số {random.randint(1, 300)}, Ngõ {random.randint(1, 90)}"]
    moved.pop("telecom", None)
    return moved


def without_address(_: Random, patient: Patient) -> Patient:
    return {
        key: value for key, value in deepcopy(patient).items() if key not in ("address", "telecom")
    }


DAMAGES: Mapping[str, Callable[[Random, Patient], Patient | None]] = {
    "nothing": as_it_is,
    "no tones": without_tones,
    "capitals, decomposed": capitals,
    "one word without its tone": wrong_tone,
    "slip in the given name": slip_in_given,
    "slip in the rest of the name": slip_in_rest,
    "a word lost": word_lost,
    "given name first": given_first,
    "nickname for the given name": nickname,
    "day and month exchanged": day_and_month,
    "the year alone": year_alone,
    "1 January of the year": first_of_january,
    "a wrong digit in the date": digit_of_date,
    "moved, other telephone": other_ward,
    "no address, no telephone": without_address,
}

_OF_NAME = (without_tones, slip_in_given, slip_in_rest, word_lost)
_OF_DATE = (day_and_month, year_alone, digit_of_date)
_OF_PLACE = (other_ward, without_address)


def two(random: Random, patient: Patient) -> Patient | None:
    """A damage to the name and one to the date."""
    return _one_of(random, _OF_DATE, _one_of(random, _OF_NAME, patient))


def three(random: Random, patient: Patient) -> Patient | None:
    """So too, and one to the address."""
    return _one_of(random, _OF_PLACE, two(random, patient))


def twin(random: Random, patient: Patient) -> Patient | None:
    """Born on the same day of the same mother, under one roof; another given name."""
    return _other_given(random, patient, ("Bảo", "Huy", "Vy", "Anh", "Khôi", "Ngân", "Phát"))


def sibling(random: Random, patient: Patient) -> Patient | None:
    other = _other_given(random, patient, ("Long", "Hà", "Minh", "Chi", "Duy", "Lan"))
    year = int(str(patient["birthDate"])[:4]) + random.choice((-4, -3, -2, 2, 3, 4))
    if other is not None:
        other["birthDate"] = f"{year}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    return other


def namesake(random: Random, patient: Patient) -> Patient | None:
    """The same full name and year of birth, in the same ward."""
    born = str(patient["birthDate"])
    other = f"{born[:4]}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    if len(born) == 4 or _near(other, born):
        return None
    found: Patient = {**deepcopy(patient), "birthDate": other}
    found["address"][0]["line"] = ["Số 999, Thôn Khác"]
    found["telecom"] = [{"system": "phone", "value": f"09{random.randrange(10**8):08}"}]
    found.pop("contact", None)
    return found


OTHERS: Mapping[str, Callable[[Random, Patient], Patient | None]] = {
    "a twin": twin,
    "a sibling": sibling,
    "a namesake of the same year and ward": namesake,
}


def _one_of(
    random: Random,
    several: tuple[Callable[[Random, Patient], Patient | None], ...],
    patient: Patient | None,
) -> Patient | None:
    return None if patient is None else random.choice(several)(random, patient)


def _other_given(random: Random, patient: Patient, givens: tuple[str, ...]) -> Patient | None:
    several = words(patient)
    if len(several) < 2:
        return None
    other = random.choice([one for one in givens if _bare(one) != _bare(several[-1])])
    return named(patient, [*several[:-1], other])


def _slip(random: Random, word: str) -> str:
    """A letter more, less or wrong, or two exchanged."""
    at = random.randrange(len(word))
    letter = random.choice(_LETTERS)
    ways = [word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :]]
    if len(word) > 2:
        ways.append(word[:at] + word[at + 1 :])
    if at + 1 < len(word):
        ways.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    return random.choice(ways)


def _bare(word: str) -> str:
    marks_gone = "".join(
        letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter)
    )
    return marks_gone.replace("đ", "d").replace("Đ", "D")


def _one_digit_off(one: str, other: str) -> bool:
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _near(one: str, other: str) -> bool:
    """Whether one date could be taken for a slip of the other."""
    differing = sum(a != b for a, b in zip(one, other, strict=True))
    return differing < 2 or (one[5:7] == other[8:] and one[8:] == other[5:7])
