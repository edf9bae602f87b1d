"""Texts that a link may hold and nobody may read: encrypted, and good for one purpose alone.

Links end up in logs, in the history of a browser and in a proxy's cache. AES-GCM says too whether
a token is one of ours: what is not, or was made for another purpose, cannot be opened.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = "page_key"  # the name of the store's secret

_NONCE_BYTES = 12


def seal(content: bytes, purpose: bytes, key: bytes) -> str:
    """The content as a token of letters, digits, `-` and `_`; `key` are 32 bytes that nobody knows.

    Each time it is another token, so that nobody sees that two are of the same content.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, content, purpose)
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unseal(token: str, purpose: bytes, key: bytes) -> bytes:
    """The content. Raises `ValueError` for what was not sealed with this key for this purpose."""
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose)
    except InvalidTag:
        raise ValueError("not sealed with this key for this purpose") from None
