"""What stands for an id, a number, a person's days: keyed hashes that nobody else can make.

BLAKE2b with a key of 32 bytes is a MAC (RFC 7693, 2.9), so without the key neither a list of all
personal numbers nor one of all ids leads back. Pseudonyms are of consonants alone: they are never
taken for a number or a name, and none of either is found in them by chance.
"""

from datetime import timedelta
from functools import lru_cache
from hashlib import blake2b

from ehr_server.identity.forms import keys
from ehr_server.identity.kinds import country_of, kind_of

KEY_BYTES = 32
PSEUDONYMS = "http://ehr-server.org/fhir/sid/pseudonym/"
"""What naming systems of pseudonyms begin with; then the list: `cccd`, `bhxh`, `passport`."""

_SEPARATOR = "\x1f"
_CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")  # one for one: 128 bits stay
_LETTERS = str.maketrans("0123456789abcdef", "abcdefabcdefabcd")  # about 80 of 128 bits stay
_CACHED_MAX = 65_536


class Pseudonyms:
    """The pseudonyms of one key. The `person` (id of the Patient) decides the days."""

    def __init__(self, key: bytes, days_max: int, *, is_weekday_kept: bool) -> None:
        """`key`: 32 bytes. Dates go back 1 to `days_max` days; with the weekday whole weeks."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self._step = 7 if is_weekday_kept else 1
        self._steps = max(days_max // self._step, 1)
        self.id = lru_cache(_CACHED_MAX)(self._id)
        self.shift = lru_cache(_CACHED_MAX)(self._shift)
        self.uuid = lru_cache(_CACHED_MAX)(self._uuid)
        self.number = lru_cache(_CACHED_MAX)(self._number)

    def text(self, text: str) -> str:
        """What stands for a text that tells one thing from another, such as a uid."""
        return self._digest("text", text).translate(_CONSONANTS)

    def _id(self, type_name: str, id_: str) -> str:
        """The new id of a resource; `#` as the type for one that is contained."""
        return self._digest("id", type_name, id_).translate(_CONSONANTS)

    def _uuid(self, text: str) -> str:
        """What stands for a url or urn, as `urn:uuid:`."""
        found = self._digest("uuid", text).translate(_LETTERS)
        parts = found[:8], found[8:12], found[12:16], found[16:20], found[20:]
        return "urn:uuid:" + "-".join(parts)

    def _number(self, system: str | None, value: str) -> tuple[str | None, str]:
        """What stands for an identifier: its naming system, None where it names none, and value.

        One pseudonym for all spellings and naming systems of a number. A card stands for the number
        that its last ten digits are, as in `identity.forms`. The naming systems are of pseudonyms:
        those of the numbers ask for digits.
        """
        of, *number = _meant(system, value)
        pseudonym = self._digest("number", of, *number).translate(_CONSONANTS)
        if system is None:
            return None, pseudonym
        return PSEUDONYMS + of if of != system else self.uuid(system), pseudonym

    def _shift(self, person: str) -> timedelta:
        """By how much the dates of a person move: back, so that none of them is to come."""
        digest = blake2b(
            _SEPARATOR.join(("shift", person)).encode(), key=self._key, digest_size=16
        ).digest()
        return timedelta(days=-self._step * (1 + int.from_bytes(digest, "big") % self._steps))

    def _digest(self, *parts: str) -> str:
        told = _SEPARATOR.join(parts).encode("utf-8", "surrogatepass")
        return blake2b(told, key=self._key, digest_size=16).hexdigest()


def _meant(system: str | None, value: str) -> tuple[str, ...]:
    """The list of numbers and the number in it; the naming system itself of one that is not known.

    Passports of two countries are two, where their naming systems tell the country.
    """
    kind = kind_of(system) if system else None
    if kind is None or system is None:
        return (system or "", value.strip().casefold())
    numbers = [key for key in keys(system, value) if key[0] == "number"]
    if not numbers:
        return (kind.name, value.strip().casefold())
    _, of, number = numbers[-1]
    return (of, number, country_of(system) or "")
