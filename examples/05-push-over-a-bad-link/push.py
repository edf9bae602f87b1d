"""Pushes a checkup over a link that breaks, until it is known to be stored: once.

python push.py [FILE] [--base http://127.0.0.1:8080/fhir]
"""

import argparse
import hashlib
import os
import random
import time
from pathlib import Path

import httpx

CHECKUP = Path(__file__).parents[1] / "01-checkup" / "checkup.json"
ATTEMPTS = 12
PAUSE_MAX_S = 30
NOT_NOW = (429, 502, 503, 504)


def main() -> None:
    options = _options()
    content = options.file.read_bytes()
    # The same file has the same key, also when this program is started again; a corrected file has
    # another. A system with an outbox takes the number of the push there.
    key = hashlib.sha256(content).hexdigest()
    with httpx.Client(base_url=options.base, timeout=30) as record:
        answer = push(record, content, key, options.pause)
        if answer is None:
            print("The link is too bad; try again later.", key)
            raise SystemExit(1)
        if answer.status_code != 200:
            _explain(answer)
            raise SystemExit(1)
    is_repeated = answer.headers.get("Idempotency-Replayed") == "true"
    print("stored before" if is_repeated else "stored", key)
    for entry in answer.json()["entry"]:
        print(entry["response"]["status"], entry["response"]["location"])


def push(record: httpx.Client, content: bytes, key: str, pause_s: float) -> httpx.Response | None:
    """The answer, whichever attempt it came to; None if there was none. The pause between the
    first two is doubled with each attempt."""
    headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": key}
    for attempt in range(ATTEMPTS):
        wait_s = min(pause_s * 2**attempt, PAUSE_MAX_S) * random.uniform(0.5, 1)
        try:
            answer = record.post("", content=content, headers=headers)
        except httpx.TransportError as error:  # no answer: nobody knows what became of it
            print("attempt", attempt + 1, type(error).__name__)
        else:
            if not _may_pass(answer):
                return answer
            print("attempt", attempt + 1, answer.status_code)
            wait_s = max(wait_s, float(answer.headers.get("Retry-After", 0)))
        time.sleep(wait_s)
    return None


def _may_pass(answer: httpx.Response) -> bool:
    """Whether the same may be taken later: the server is busy or away, or others were quicker."""
    if answer.status_code == 409:
        return all(issue["code"] == "conflict" for issue in answer.json()["issue"])
    return answer.status_code in NOT_NOW


def _explain(answer: httpx.Response) -> None:
    for issue in answer.json()["issue"]:
        print(issue["severity"], issue.get("expression", [""])[0], issue["details"]["text"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("FHIR_BASE", "http://127.0.0.1:8080/fhir")
    parser.add_argument("file", nargs="?", type=Path, default=CHECKUP, help="a transaction")
    parser.add_argument("--base", default=default, help="address of the FHIR server")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds after the first attempt")
    return parser.parse_args()


if __name__ == "__main__":
    main()
