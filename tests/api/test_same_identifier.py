"""Many who write the same identifier at once wait for each other, and for nothing else."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke


def test_creates_of_one_identifier_all_come_through(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.post("/Patient", json=resident()), range(24)))
    assert {answer.status_code for answer in answers} == {201}
