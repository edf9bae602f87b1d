"""The provinces by their names, as addresses spell them: `TP. Hồ Chí Minh`, `tỉnh Thừa Thiên Huế`.

An Address has the name of its province as text (https://hl7.org/fhir/R4/datatypes.html#Address),
where somebody may as well have written more. What is no province is not told.
"""

from functools import cache, lru_cache

from ehr_server.identity.folding import fold
from ehr_server.identity.provinces import BEFORE_REFORM, SINCE_REFORM

_BEFORE_A_NAME = ("thanh pho ", "tinh ", "tp. ", "tp.", "tp ", "t. ")
_CITY = "Thành phố Hồ Chí Minh"
_ALSO = {"thua thien hue": "Huế", "hcm": _CITY, "sai gon": _CITY}


@lru_cache(maxsize=1024)
def province_named(text: str) -> str | None:
    """The province's name as the server writes it; None for what is no province."""
    folded = fold(text)
    for start in _BEFORE_A_NAME:
        if folded.startswith(start):
            folded = folded.removeprefix(start)
            break
    return _names().get(folded.replace(" ", ""))


@cache
def _names() -> dict[str, str]:
    found = {_key(name): name for of in (BEFORE_REFORM, SINCE_REFORM) for name in of.values()}
    return found | {_key(name): means for name, means in _ALSO.items()}


def _key(name: str) -> str:
    return fold(name).removeprefix("thanh pho ").replace(" ", "")
