"""OPTIONS: what can be done at an address. https://www.rfc-editor.org/rfc/rfc9110#name-options"""

from ehr_server.call import Answer, Request
from ehr_server.interactions.patch import FORMATS
from ehr_server.rest.routes import RouteTable


def options(table: RouteTable, request: Request) -> Answer:
    """204 with the methods that are possible at the path, whether or not a resource is there.

    Raises `NotFound` for a path that leads nowhere.
    """
    methods = table.methods(request)
    headers = {"Allow": ", ".join(methods)}
    if "PATCH" in methods:  # https://www.rfc-editor.org/rfc/rfc5789#section-3.1
        headers["Accept-Patch"] = ", ".join(FORMATS)
    return Answer(204, None, headers)
