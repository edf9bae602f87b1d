"""Numbers of identity cards and insurance cards, by their rules.

Identity card (CCCD), 12 digits `PPP G YY NNNNNN`: province of birth, sex and century, year, serial.
Insurance card (BHYT), 15 characters `GG B PP NNNNNNNNNN`: group, benefit level, province, number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from campaign.names import Sex

# Benefit level by group of the insured; every other group has level 4.
_BENEFIT = {"CC": 1, "TE": 1, "HN": 2, "DT": 2, "BT": 2, "HT": 3, "CN": 3, "QN": 5}


def serial(seed: int, number: int, digits: int) -> str:
    """The `number`-th of 10**digits serials in an order that looks random; none comes twice."""
    size = 10**digits
    return f"{(number * 387_420_489 + seed * 99_990_001) % size:0{digits}d}"


def cccd(province: str, sex: Sex, born: int, serial_: str) -> str:
    """The number of an identity card; `province` is the code of two digits, `born` a year."""
    century = 2 * (born // 100 - 19) + (sex == "female")
    return f"0{province}{century}{born % 100:02d}{serial_}"


def bhyt(group: str, province: str, serial_: str) -> str:
    """The number of an insurance card; `group` has two letters, `serial_` ten digits."""
    return f"{group}{_BENEFIT.get(group, 4)}{province}{serial_}"
