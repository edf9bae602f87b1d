"""What the numbers of Vietnamese identifiers tell of their holder, and what can be checked in them.

The personal identification number (the CCCD number) is `PPP G YY NNNNNN`: where the birth was
registered, sex and century, year, six digits at random (Decree 137/2015/NĐ-CP Article 13). It has
no check digit. The insurance card (BHYT) of 15 characters is `GG L PP NNNNNNNNNN`: group and
benefit level, province, number of the social insurance (Decision 1351/QĐ-BHXH, 2015).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ehr_server.identity import provinces

Sex = Literal["male", "female"]

# The third to fifth place of a personal number -> sex and year of birth: "174" -> female, "1974".
SEX_AND_YEAR: Mapping[str, tuple[Sex, str]] = MappingProxyType(
    {
        f"{century}{year:02d}": (
            "female" if century % 2 else "male",
            str(1900 + 100 * (century // 2) + year),
        )
        for century in range(10)
        for year in range(100)
    }
)
PROVINCE_PREFIXES = frozenset(f"0{code}" for code in provinces.CODES)

# The group of an insured -> the benefit level that goes with it: 1 all without a limit, 2 all
# within limits, 3 95 %, 4 80 %, 5 all and beyond the scope.
_GROUPS_BY_LEVEL = {
    "1": "CC TE",
    "2": "CK CB KC HN DT DK XD BT TS",
    "3": "HT TC CN",
    "4": "DN HX CH NN TK HC XK TB NO CT XB TN CS XN MS HD TQ TA TY TV HG LS PV HS SV GB GD",
    "5": "QN CA CY",
}
LEVEL_OF_GROUP: Mapping[str, str] = MappingProxyType(
    {group: level for level, groups in _GROUPS_BY_LEVEL.items() for group in groups.split()}
)

_PERSONAL = re.compile("[0-9]{12}")
_CARD = re.compile("[A-Z]{2}[1-5][0-9]{12}")


@dataclass(frozen=True, slots=True)
class PersonalNumber:
    """What a personal identification number tells: its `prefix` of three digits, sex, year."""

    prefix: str
    sex: Sex
    year: int

    def province(self) -> str | None:
        """Where the birth was registered, by the names of that year; None if abroad or unknown."""
        return provinces.province(self.prefix[1:], self.year) if self.prefix[0] == "0" else None


@dataclass(frozen=True, slots=True)
class InsuranceCard:
    """What a card of 15 characters tells: group (`GD`), level (`4`), province (`01`), BHXH."""

    group: str
    level: str
    province: str
    bhxh: str


def personal_number(value: str) -> PersonalNumber | None:
    """The number taken apart; None if it does not have 12 digits."""
    if not _PERSONAL.fullmatch(value):
        return None
    sex, year = SEX_AND_YEAR[value[3:6]]
    return PersonalNumber(value[:3], sex, int(year))


def insurance_card(value: str) -> InsuranceCard | None:
    """The card's number taken apart; None if it has not the 15 characters of one."""
    if not _CARD.fullmatch(value):
        return None
    return InsuranceCard(value[:2], value[2], value[3:5], value[5:])


def has_gs1_check_digit(digits: str) -> bool:
    """Whether the last digit is the one that GS1 asks for: weights 3 and 1 from the right."""
    from_right = [int(digit) for digit in reversed(digits)]
    return (sum(from_right[::2]) + 3 * sum(from_right[1::2])) % 10 == 0
