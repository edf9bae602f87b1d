"""What a narrative's XHTML may hold: https://hl7.org/fhir/R4/narrative.html#xhtml.

One pattern, linear in time, the same in Python and Rust: a `div` of the XHTML namespace with
nothing in it but formatting elements, their attributes, and links that hide no script. What it
does not see is whether each tag closes the one that was opened last.
"""

_ELEMENTS = (
    "a|abbr|acronym|address|b|bdo|big|blockquote|br|caption|center|cite|code|col|colgroup|dd|del"
    "|dfn|dir|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|map|area|menu|ol|p|pre|q|s|samp|small"
    "|span|strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var"
)
_LINKS = "href|src|longdesc|cite|background|usemap"
_ATTRIBUTES = (
    "abbr|accesskey|align|alt|axis|bgcolor|border|cellhalign|cellpadding|cellspacing|cellvalign"
    "|char|charoff|charset|class|clear|color|cols|colspan|compact|coords|dir|face|frame|headers"
    "|height|hreflang|hspace|id|lang|name|noshade|nowrap|rel|rev|rowspan|rules|scope|shape|size"
    "|span|start|style|summary|tabindex|target|title|type|valign|value|vspace|width"
    "|xml:lang|xml:space|xmlns:[a-z]+"
)
_SPACE = "[ \\t\\r\\n]"
# A known scheme; or no colon (not even one spelled as an entity) before the first / ? or #.
_LINK = (
    "(?i:https?:|mailto:|tel:|ftp:|urn:|cid:|data: ?image/(?:png|gif|jpe?g);)[^{q}<]*"
    "|[^:&{q}<]*(?:[/?#][^{q}<]*)?"
)


def _attribute(names: str, value: str) -> str:
    quoted = "|".join(f"{q}(?:{value.replace('{q}', q)}){q}" for q in ('"', "'"))
    return f"{_SPACE}+(?:{names}){_SPACE}*={_SPACE}*(?:{quoted})"


_XMLNS = f"{_SPACE}+xmlns=[\"']http://www[.]w3[.]org/1999/xhtml[\"']"
_PLAIN = f"(?:{_attribute(_ATTRIBUTES, '[^{q}<]*')}|{_attribute(_LINKS, _LINK)})"
_TAG = f"<(?:{_ELEMENTS})(?:{_PLAIN}|{_XMLNS})*{_SPACE}*/?>|</(?:{_ELEMENTS}){_SPACE}*>"
_ENTITY = "&(?:[A-Za-z][A-Za-z0-9]*|#[0-9]+|#x[0-9A-Fa-f]+);"
_COMMENT = "<!--(?:[^-]|-[^-])*-->"
_TEXT = r"[^<&\x00-\x08\x0b\x0c\x0e-\x1f]"

SAFE = (
    f"^{_SPACE}*<div{_PLAIN}*{_XMLNS}{_PLAIN}*{_SPACE}*>"
    f"(?:{_TEXT}|{_ENTITY}|{_TAG}|{_COMMENT})*</div{_SPACE}*>{_SPACE}*$"
)
"""The whole text: a `div` that holds what is allowed."""
