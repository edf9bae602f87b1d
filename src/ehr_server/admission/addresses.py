"""Where our own token endpoint is, as clients see it: beside the FHIR base, `/auth` for `/fhir`."""

from urllib.parse import urlsplit

TOKEN_PATH = "/auth/token"  # noqa: S105
JWKS_PATH = "/auth/jwks"


def beside(base_url: str, path: str) -> str:
    """The address of a path of the site whose FHIR base is `base_url`."""
    parts = urlsplit(base_url)
    above = parts.path.rstrip("/").rpartition("/")[0]
    return f"{parts.scheme}://{parts.netloc}{above}{path}"
