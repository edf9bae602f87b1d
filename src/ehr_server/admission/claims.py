"""What every token is held to once its signature is right: by whom, for whom, and since when.

https://www.rfc-editor.org/rfc/rfc7519#section-4.1.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.admission.rejected import Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_SECONDS_MAX = 1 << 40


def check_audience(claims: Mapping[str, Any], accepted: Collection[str]) -> None:
    """Raises `Rejected` unless the token is for one of the accepted: `aud`, a text or several."""
    named = claims.get("aud")
    texts = named if isinstance(named, list) else [named]
    if not any(isinstance(one, str) and one in accepted for one in texts):
        raise Rejected(
            "audience",
            "The token is for somebody else: its audience (aud) is not this server.",
            "Token dành cho nơi khác: aud không phải máy chủ này.",
        )


def check_times(claims: Mapping[str, Any], skew_s: int) -> int:
    """When the token expires, in seconds since 1970; clocks may be apart by `skew_s`.

    Raises `Rejected` without `exp`, after it, and before `nbf` and `iat`.
    """
    now, expires = clock.epoch_s(), _instant(claims, "exp")
    if expires is None:
        raise Rejected(
            "exp", "The token does not say when it expires (exp).", "Token không có thời hạn (exp)."
        )
    if now >= expires + skew_s:
        raise Rejected("expired", "The token has expired.", "Token đã hết hạn.")
    for name in ("nbf", "iat"):
        begins = _instant(claims, name)
        if begins is not None and begins > now + skew_s:
            raise Rejected(
                name,
                f"The token is of the future ({name}); clocks may be {skew_s} seconds apart.",
                f"Token chưa có hiệu lực ({name}); đồng hồ lệch tối đa {skew_s} giây.",
            )
    return expires


def texts(value: object) -> tuple[str, ...]:
    """A claim that is several texts: an array, or one text with spaces between them, as scopes are
    (RFC 8693, 4.2). What is neither is none."""
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return ()


def text(value: object) -> str | None:
    """A claim that is a text; None for what is none, or empty."""
    return value if isinstance(value, str) and value else None


def _instant(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _SECONDS_MAX:
        raise Rejected(
            name, f"{name} is no number of seconds since 1970.", f"{name} không phải số giây."
        )
    return int(value)
