"""XML that nobody should send: refused with its place, and nothing of it read from elsewhere."""

import httpx
import pytest

XML = {"Content-Type": "application/fhir+xml"}
OPEN = '<Patient xmlns="http://hl7.org/fhir">'

BOMB = """<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>"""
OUTSIDE = '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
DEEP = "<extension url='http://x.org/e'>" * 300 + "</extension>" * 300


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f'{BOMB}{OPEN}<language value="&c;"/></Patient>', "document type"),
        (f'{OUTSIDE}{OPEN}<language value="&x;"/></Patient>', "document type"),
        ('<!DOCTYPE p SYSTEM "http://x.org/p.dtd"><p/>', "document type"),
        (f'{OPEN}<language value="&nbsp;"/></Patient>', "undefined entity"),
        (f"{OPEN}{DEEP}</Patient>", "levels deep"),
        (f"{OPEN}<active value='true'></Patient>", "well-formed"),
        (f"{OPEN}", "well-formed"),
        ("", "resource"),
        ("no xml at all", "well-formed"),
        ("<Patient/>", "A resource is expected"),
        ('<Patient xmlns="http://x.org"/>', "A resource is expected"),
        ('<Person2 xmlns="http://hl7.org/fhir"/>', "A resource is expected"),
        (f"{OPEN}<colour value='red'/></Patient>", "Patient has no element colour"),
        (f"{OPEN}<active xmlns='http://x.org' value='true'/></Patient>", "no element active"),
        (f"{OPEN}<active value='true' colour='red'/></Patient>", "no attribute colour"),
        (f"{OPEN}<name value='x'/></Patient>", "Patient.name[0] has no attribute value"),
        (f"{OPEN}<active value='true'/><active value='true'/></Patient>", "active once at most"),
        (f"{OPEN}<gender value='male'/><active value='true'/></Patient>", "fixed order"),
        (f"{OPEN}<active>true</active></Patient>", "holds text"),
        (f"{OPEN}<text><status value='empty'/><div>x</div></text></Patient>", "no element div"),
        (
            f"{OPEN}<text><status value='empty'/>"
            "<h:div xmlns:h='http://www.w3.org/1999/xhtml'>x</h:div></text></Patient>",
            "without a prefix",
        ),
        (f"{OPEN}<contained/></Patient>", "contained"),
    ],
)
def test_it_is_refused_and_says_why(shared_client: httpx.Client, body: str, said: str) -> None:
    answer = shared_client.post("/Patient", content=body.encode(), headers=XML)
    assert answer.status_code == 400
    assert said in answer.text


@pytest.mark.parametrize(
    "content",
    [
        '<Patient xmlns="http://hl7.org/fhir"><language value="vi"/></Patient>'.encode("utf-16"),
        b'<Patient xmlns="http://hl7.org/fhir"><language value="\xff\xfe"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir"><language value="a\x00"/></Patient>',
    ],
)
def test_what_is_not_utf8_is_refused(shared_client: httpx.Client, content: bytes) -> None:
    answer = shared_client.post("/Patient", content=content, headers=XML)
    assert answer.status_code == 400


def test_a_refusal_tells_the_place_in_vietnamese_too(shared_client: httpx.Client) -> None:
    headers = {**XML, "Accept-Language": "vi"}
    body = f"{OPEN}<colour value='red'/></Patient>".encode()
    issue = shared_client.post("/Patient", content=body, headers=headers).json()["issue"][0]
    assert issue["details"]["text"] == "Patient không có phần tử colour ở đây."
    assert issue["expression"] == ["Patient"]
