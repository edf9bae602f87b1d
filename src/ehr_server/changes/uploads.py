"""Content that comes in raw: taken as it comes, never whole in memory.

https://hl7.org/fhir/R4/binary.html. What is small is kept in the resource; of what is larger each
full part is stored when it is complete, the last one together with the version.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from ehr_server import clock
from ehr_server.errors import TooLarge
from ehr_server.fhir import references
from ehr_server.fhir.kept import Kept
from ehr_server.hashing import own_comp, person_comp
from ehr_server.settings import Settings
from ehr_server.store import blobs
from ehr_server.store.blobs import PART_BYTES, Blob
from ehr_server.store.connect import Store

CONTEXT = "x-security-context"


class Upload:
    """The content for `Binary/{id}`, of which a new id is made where none is given; `headers` are
    those of the request.

    `take` what comes; `discard` in any case when the request is answered.
    """

    def __init__(
        self, store: Store, settings: Settings, headers: Mapping[str, str], id_: str | None = None
    ) -> None:
        self.id = id_ or clock.new_id()
        self.size = 0
        self._store = store
        self._most = settings.binary_bytes_max
        self._inline_most = settings.binary_inline_bytes_max
        self._comp = _comp(self.id, headers.get(CONTEXT, ""))
        self._key: int | None = None  # once a part is stored
        self._staged = 0
        self._rest = bytearray()
        self._sha1 = hashlib.sha1(usedforsecurity=False)  # Attachment.hash
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> bytes:
        """The digest of what has come."""
        return self._sha256.digest()

    def take(self, piece: bytes) -> None:
        """Take what came next. Raises `TooLarge`, `Unavailable`."""
        self.size += len(piece)
        if self.size > self._most:
            raise too_large(self._most)
        self._sha1.update(piece)
        self._sha256.update(piece)
        self._rest += piece
        while len(self._rest) > PART_BYTES:  # the last part waits for the version
            if self._key is None:
                (self._key,) = self._store.new_keys(1)
            content = bytes(self._rest[:PART_BYTES])
            part = blobs.part(self._store.contents, self._staged, content)
            blobs.stage(self._store, self._comp, self._key, part)
            del self._rest[:PART_BYTES]
            self._staged += 1

    def inline(self) -> bytes | None:
        """All of it, if it is small enough to be kept in the resource."""
        return bytes(self._rest) if self.size <= self._inline_most else None

    def blob(self) -> Blob | None:
        """What a version is to name; None if it is small enough to be kept in the resource."""
        if self.size <= self._inline_most:
            return None
        if self._key is None:
            (self._key,) = self._store.new_keys(1)
        kept = Kept(self._key, self.size, self._sha1.digest(), self._sha256.digest())
        rest = (blobs.part(self._store.contents, self._staged, bytes(self._rest)),)
        return Blob(kept, rest, self._comp if self._staged else None)

    def discard(self) -> None:
        """Remove what was stored, unless a version names it by now. Raises `Unavailable`."""
        if self._staged and self._key is not None:
            blobs.discard(self._store, self._comp, self._key)


def blob_of(store: Store, content: bytes) -> Blob:
    """Content that is in memory already, to be kept beside its resource."""
    (key,) = store.new_keys(1)
    sha1 = hashlib.sha1(content, usedforsecurity=False).digest()
    kept = Kept(key, len(content), sha1, hashlib.sha256(content).digest())
    return Blob(kept, blobs.cut(store.contents, content))


def patient_of(binary: Mapping[str, Any]) -> str | None:
    """The patient in whose compartment a Binary lies: whom its securityContext names."""
    context = binary.get("securityContext")
    reference = context.get("reference") if isinstance(context, dict) else None
    parsed = references.parse(reference, "") if isinstance(reference, str) else None
    if parsed is None or parsed.kind != "local" or parsed.type != "Patient":
        return None
    return parsed.id


def too_large(most: int) -> TooLarge:
    """The refusal of a content of more than `most` bytes."""
    return TooLarge(
        f"The content is larger than {most} bytes, the most that a Binary takes here.",
        vi=f"Nội dung lớn hơn {most} byte, mức tối đa của một Binary ở đây.",
    )


def _comp(id_: str, context: str) -> int:
    """Where the resource will lie, as far as the headers tell: to be right saves moving it."""
    patient = patient_of({"securityContext": {"reference": context.strip()}})
    return person_comp(patient) if patient else own_comp("Binary", id_)
