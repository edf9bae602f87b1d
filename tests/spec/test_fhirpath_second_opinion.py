"""What two FHIRPath engines say of the invariants of R4 on its published examples: the same.

Ours and fhirpathpy (`fhirpath.foreign`), http://hl7.org/fhirpath/N1/. The examples are read from
`cache/`, where tools/make_definitions.py puts them; without them: skipped.
"""

import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhirpath import compile_invariant
from ehr_server.fhirpath.errors import Unsupported
from ehr_server.fhirpath.foreign import compile_invariant as compile_foreign

_EXAMPLES = Path(__file__).parent.parent.parent / "cache" / "hl7.fhir.r4.examples-4.0.1.tgz"
_OF_EACH_TYPE = 4
_BYTES_MAX = 15_000
_NOT_ASKED = {
    "dom-3",  # the library wants one value on the left of `as`
    "cid-0",  # asks for an element that is not there
}


def _examples() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    with tarfile.open(_EXAMPLES) as tar:
        for member in tar:
            path = Path(member.name)
            is_one = path.suffix == ".json" and path.stem != "package" and path.name[0] != "."
            if not is_one or member.size > _BYTES_MAX:
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            resource = json.read(stream.read())
            of_type = found[resource["resourceType"]]
            if len(of_type) < _OF_EACH_TYPE:
                of_type.append(resource)
    return found


@pytest.mark.slow
@pytest.mark.skipif(not _EXAMPLES.exists(), reason="no cache/: run tools/make_definitions.py")
def test_both_say_the_same() -> None:
    count = 0
    for type_name, resources in _examples().items():
        for constraint in definitions().types[type_name].constraints:
            if constraint.key in _NOT_ASKED:
                continue
            ours = compile_invariant(constraint.expression, type_name)
            other = compile_foreign(constraint.expression, type_name, Unsupported("", 0))
            for resource in resources:
                count += 1
                assert ours(resource) is other(resource), (constraint.key, resource.get("id"))
    assert count > 1_600
