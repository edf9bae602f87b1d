"""What an expression of somebody's own may cost, told by its text.

It is evaluated on every resource that is stored, where nothing can stop it: one that walks the
whole resource for each part of the whole resource took 18 s for a Patient of twenty names, and
sixty texts each joined to itself are more than a machine holds. The standard's own have two `|` in
brackets at most, and never walk.
"""

from ehr_server.fhirpath.lexer import tokens

WALKS_MAX = 2  # from the top of the resource, or to all below: with three it is n by n
JOINS_MAX = 8  # each may make twice as much of what there is

_WALKS = frozenset(("descendants", "repeat"))
_TOPS = frozenset(("resource", "rootResource", "context"))
_JOINS = frozenset(("combine", "union", "&", "+", "|"))


def is_costly(path: str) -> bool:
    """Whether one part of a union could take longer than a resource is large.

    Raises `FHIRPathError` for what is no expression.
    """
    walks = joins = 0
    before = ""
    for token in tokens(path):
        if before == "%":  # also written %'resource'
            walks += token.text in _TOPS
        elif token.kind != "string":
            walks += token.text in _WALKS
            joins += token.text in _JOINS
        before = token.text if token.kind == "symbol" else ""
    return walks > WALKS_MAX or joins > JOINS_MAX
