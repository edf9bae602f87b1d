"""https://hl7.org/fhir/R4/location.html#positional

Distances were measured by hand on a map: from Hoàn Kiếm lake in Hà Nội, Bạch Mai hospital is 3.4 km
away, Hải Phòng 89 km, Đà Nẵng 606 km, Hồ Chí Minh City 1140 km.
"""

from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers


def _location(id_: str, latitude: float, longitude: float, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Location", "id": id_, "name": id_,
        "position": {"latitude": latitude, "longitude": longitude}, **rest,
    }  # fmt: skip


RECORD = [
    _location("lake", 21.0285, 105.8522),
    _location("bach-mai", 21.0003, 105.8408, status="active"),
    _location("hai-phong", 20.8449, 106.6881, status="active"),
    _location("da-nang", 16.0544, 108.2022),
    _location("saigon", 10.7769, 106.7009),
    _location("fiji", -17.7134, 179.9),
    _location("pole", 90, 0),
    {"resourceType": "Location", "id": "nowhere", "name": "nowhere"},
    {
        "resourceType": "PractitionerRole", "id": "doctor",
        "location": [{"reference": "Location/bach-mai"}],
    },
]  # fmt: skip
LAKE = "21.0285|105.8522"


@covers("special", "value")
@pytest.mark.parametrize(
    ("search", "ids"),
    [
        (f"near={LAKE}|1|km", {"lake"}),
        (f"near={LAKE}|3|km", {"lake"}),
        (f"near={LAKE}|4|km", {"lake", "bach-mai"}),
        (f"near={LAKE}|4000|m", {"lake", "bach-mai"}),
        (f"near={LAKE}|2|[mi_i]", {"lake"}),
        (f"near={LAKE}|2.5|[mi_i]", {"lake", "bach-mai"}),
        (f"near={LAKE}|80|km", {"lake", "bach-mai"}),
        (f"near={LAKE}|100|km", {"lake", "bach-mai", "hai-phong"}),
        (f"near={LAKE}|700|km", {"lake", "bach-mai", "hai-phong", "da-nang"}),
        (f"near={LAKE}|1200|km", {"lake", "bach-mai", "hai-phong", "da-nang", "saigon"}),
        # without a unit kilometres; without a distance near enough as the server sees fit
        (f"near={LAKE}|4", {"lake", "bach-mai"}),
        (f"near={LAKE}|4|", {"lake", "bach-mai"}),
        (f"near={LAKE}", {"lake", "bach-mai"}),
        (f"near={LAKE}|0|km", {"lake"}),
        ("near=0|0|1|km", set()),
        # over the line of dates, and at a pole whatever the longitude
        ("near=-17.7134|-179.9|50|km", {"fiji"}),
        ("near=89.9|-120|20|km", {"pole"}),
        (f"near={LAKE}|20038|km", {
            "lake", "bach-mai", "hai-phong", "da-nang", "saigon", "fiji", "pole",
        }),
        # several, and with others
        (f"near={LAKE}|1|km,10.78|106.7|5|km", {"lake", "saigon"}),
        (f"near={LAKE}|100|km&status=active", {"bach-mai", "hai-phong"}),
        (f"near={LAKE}|100|km&name:contains=mai", {"bach-mai"}),
    ],
)  # fmt: skip
def test_a_place_is_near_another(here: Record, search: str, ids: set[str]) -> None:
    found = here.ids(f"Location?{search}")
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"Location?{search}&_count=0")).total == len(ids)


def test_a_chain_leads_to_places(here: Record) -> None:
    assert here.ids(f"PractitionerRole?location.near={LAKE}|4|km") == ["doctor"]
    assert here.ids(f"PractitionerRole?location.near={LAKE}|1|km") == []
    assert here.ids(f"Location?near={LAKE}|4|km&_has:PractitionerRole:location:_id=doctor") == [
        "bach-mai"
    ]
