"""What XHTML a narrative may hold. https://hl7.org/fhir/R4/narrative.html#xhtml"""

import time

import pytest

from ehr_server.patterns import matches
from ehr_server.validation.narrative import SAFE

_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "Nguyễn Thị Hoa",
        "<p>a<br/>b <b class='x'>c</b></p>",
        '<table border="1"><tr><td colspan="2">1 &lt; 2 &#160;</td></tr></table>',
        '<a href="https://example.org/?a=b&amp;c=d">x</a>',
        '<a href="Patient/1">x</a> <a href="#a">y</a> <a href="?q=a:b">z</a>',
        '<img src="data:image/png;base64,aGVs" alt="x"/>',
        "<!-- a - b -->",
    ],
)
def test_allowed(inner: str) -> None:
    assert matches(SAFE, f"{_DIV}{inner}</div>")


@pytest.mark.parametrize(
    "inner",
    [
        "<script>x</script>",
        "<SCRIPT>x</SCRIPT>",
        "<iframe src='https://x'></iframe>",
        "<form><input/></form>",
        "<object/>",
        "<p onclick='x'>x</p>",
        "<p/onclick='x'>x</p>",
        "<a href='javascript:x'>x</a>",
        "<a href=' javascript:x'>x</a>",
        "<a href='java&#115;cript&#58;x'>x</a>",
        "<a href='JavaScript&colon;x'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<a href=javascript:x>x</a>",
        "<img src='x' onerror='x'/>",
        "<svg><a/></svg>",
        "a & b",
        "a < b",
        "<![CDATA[x]]>",
    ],
)
def test_refused(inner: str) -> None:
    assert not matches(SAFE, f"{_DIV}{inner}</div>")


@pytest.mark.parametrize(
    "text", ["", "x", "<div>x</div>", "<p xmlns='http://www.w3.org/1999/xhtml'/>", f"{_DIV}x"]
)
def test_it_is_a_div_of_the_namespace(text: str) -> None:
    assert not matches(SAFE, text)


def test_a_large_one_takes_linear_time() -> None:
    begun = time.process_time()
    assert not matches(SAFE, _DIV + "<p>a</p>" * 200_000)
    assert not matches(SAFE, _DIV + "<p " + "class='a' " * 200_000)
    assert time.process_time() - begun < 2
