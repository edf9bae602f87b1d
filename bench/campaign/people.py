"""The residents of a commune, household by household."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from campaign import identifiers, names, places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign.names import Name, People, Sex
    from campaign.places import Commune

YEAR = 2026  # the year in which ages are counted when households are made


@dataclass(frozen=True, slots=True)
class Household:
    """People under one roof share village, house number and, but for the mother, family name."""

    number: int
    village: str
    house: int
    people: People
    family: str | None


@dataclass(frozen=True, slots=True)
class Resident:
    """One person. `cccd` is None for a child who has no card yet; `kin` cares for a child."""

    number: int
    household: Household
    sex: Sex
    name: Name
    born: date
    is_year_only: bool
    cccd: str | None
    bhyt: str
    occupation: str
    phone: str | None
    kin: Resident | None

    def age(self, on: date) -> int:
        """Whole years of age on a day."""
        had_birthday = (on.month, on.day) >= (self.born.month, self.born.day)
        return on.year - self.born.year - (not had_birthday)


def residents(n: int, seed: int, commune: Commune = places.TIEN_THANG) -> Iterator[Resident]:
    """The first `n` residents of a commune; a longer list begins with the shorter one.

    Equal arguments give equal people. Numbers of cards are unique up to a million residents.
    """
    made = 0
    for number in count():
        for resident in _household(number, made, seed, commune):
            if made == n:
                return
            yield resident
            made += 1


def _household(number: int, first: int, seed: int, commune: Commune) -> Iterator[Resident]:
    random = Random(f"{seed}/household/{number}")
    people = names.people(random)
    household = Household(
        number,
        random.choice(commune.villages),
        random.randint(1, 240),
        people,
        names.family_name(random, people),
    )
    maker = _Maker(random, seed, commune, household)
    father_born = YEAR - random.choice((28, 31, 34, 38, 42, 47, 53, 58, 64, 71))
    father = maker.resident(first, "male", father_born)
    mother = maker.resident(first + 1, "female", father_born + random.randint(-2, 6))
    yield father
    yield mother
    following = first + 2
    mother_born = mother.born.year
    for years in sorted(random.sample(range(20, 40), random.choice((0, 1, 2, 2, 3)))):
        if mother_born + years < YEAR and (
            mother_born + years > YEAR - 24 or random.random() < 0.2
        ):
            sex: Sex = "male" if random.random() < 0.52 else "female"
            yield maker.resident(following, sex, mother_born + years, mother)
            following += 1
    if father_born > YEAR - 60 and random.random() < 0.4:
        yield maker.resident(following, "female", father_born - random.randint(20, 34))


@dataclass(frozen=True, slots=True)
class _Maker:
    random: Random
    seed: int
    commune: Commune
    household: Household

    def resident(self, number: int, sex: Sex, year: int, kin: Resident | None = None) -> Resident:
        random, household = self.random, self.household
        born = date(year, 1, 1) + timedelta(days=random.randrange(365))
        age = YEAR - year
        marries_in = sex == "female" and kin is None
        family = names.family_name(random, household.people) if marries_in else household.family
        province = self.commune.province
        if random.random() < 0.12:
            province = random.choice(places.PROVINCES)
        occupation, group = _work(random, age)
        card = identifiers.cccd(province, sex, year, identifiers.serial(self.seed, number, 6))
        insurance = identifiers.serial(self.seed, number, 8)
        return Resident(
            number=number,
            household=household,
            sex=sex,
            name=names.name(random, household.people, family, sex, year),
            born=born,
            is_year_only=year < 1962 and random.random() < 0.25,
            cccd=card if age >= 1 else None,
            bhyt=identifiers.bhyt(group, self.commune.province, self.commune.province + insurance),
            occupation=occupation,
            phone=f"0{random.choice('35789')}{random.randrange(10**8):08d}" if age > 14 else None,
            kin=kin if age < 18 else None,
        )


def _work(random: Random, age: int) -> tuple[str, str]:
    """Occupation (codes of QĐ 4069/2001) and insurance group for an age."""
    if age < 6:
        return "01", "TE"
    if age < 18:
        return "02", "HS"
    if age < 23:
        return random.choice((("02", "SV"), ("04", "DN"), ("05", "GD")))
    if age > 60:
        return random.choice((("03", "HT"), ("05", "GD"), ("05", "CC"), ("03", "HN")))
    return random.choices(
        (("05", "GD"), ("04", "DN"), ("10", "GD"), ("08", "HC"), ("07", "CH"), ("05", "CN"),
         ("05", "HN"), ("09", "HC"), ("06", "QN")),
        (34, 26, 16, 5, 5, 6, 4, 2, 2),
    )[0]  # fmt: skip
