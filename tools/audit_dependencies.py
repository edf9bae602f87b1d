"""Asks whether what the server is made of has known vulnerabilities: part of `make check`.

    python tools/audit_dependencies.py [requirements.txt]

pip-audit asks the vulnerability service of the package index about every version in the lock. What
it cannot ask about is told, never passed over in silence; what it finds ends the check with 1.
Where the service cannot be reached, as in a network of one's own, that is told and the check goes
on: whoever publishes a version runs it where it can.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LOCK = Path(__file__).parents[1] / "requirements.txt"
_WAIT_S = 60
_OPTIONS = (
    *("--require-hashes", "--disable-pip", "--format=json", "--desc=off"),
    *("--progress-spinner=off", "--timeout=5"),
)


def main(lock: Path = _LOCK) -> int:
    """0, or 1 where something is known to be vulnerable."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(lock), *_OPTIONS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S, check=False)
        found: list[Any] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"dependency scan: NOT DONE, nobody could be asked ({type(error).__name__})")
        return 0
    findings, skipped = list(_findings(found)), sum("skip_reason" in one for one in found)
    print("\n".join(findings), end="\n" if findings else "")
    asked = len(found) - skipped
    is_whole = "" if not skipped else f"; NOT DONE for {skipped}, of which the service says nothing"
    print(f"dependency scan: {len(findings)} known vulnerabilities in {asked} packages{is_whole}")
    return 1 if findings else 0


def _findings(found: list[Any]) -> Iterator[str]:
    for one in found:
        for each in one.get("vulns", ()):
            mends = ", ".join(each.get("fix_versions", ())) or "none yet"
            yield f"{one['name']} {one['version']}: {each['id']}, mended in {mends}"


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
