"""Looks for secrets in the files of the project: part of `make check`.

    python tools/scan_secrets.py [--write]

detect-secrets reads every file that git holds. What it takes for a secret and is none stands in
`known_secrets.txt` beside this file, by path and digest; `--write` writes that file anew, and who
does so has looked at each line of the difference.
"""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parents[1]
KNOWN = Path(__file__).with_name("known_secrets.txt")

# Hashes of packages; published tables and made-up people, which tools make anew.
_LEFT_OUT = ("requirements", "profiles/", "examples/01-checkup/", "tools/known_secrets.txt")
_BINARY = {".zip", ".gz", ".zdict", ".png", ".tgz"}
_PLUGINS = (
    *("AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "BasicAuthDetector"),
    *("GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "NpmDetector"),
    *("OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SlackDetector"),
)
_PARTS = 16
_ENTROPY = (("Base64HighEntropyString", 4.5), ("HexHighEntropyString", 3.0))


def main() -> int:
    """0, or 1 where something looks like a secret and nobody has said that it is none."""
    try:
        names = tracked()
    except (OSError, subprocess.CalledProcessError):
        print("secret scan: NOT DONE, this is no checkout of git")
        return 0
    with ProcessPoolExecutor() as processes:  # reading takes 13 s of one
        parts = [names[start::_PARTS] for start in range(_PARTS)]
        found = sorted(one for part in processes.map(secrets, parts) for one in part)
    if "--write" in sys.argv:
        KNOWN.write_text("".join(f"{path} {digest}\n" for path, digest, _, _ in found))
        return 0
    known = {tuple(line.split()) for line in KNOWN.read_text().splitlines()}
    new = [one for one in found if one[:2] not in known]
    for path, _, line, kind in new:
        print(f"{path}:{line}: {kind}. Remove it, or see tools/scan_secrets.py")
    print(f"secret scan: {len(new)} in {len(names)} files")
    return 1 if new else 0


def tracked() -> list[str]:
    """The files that are looked at, relative to the root: those of git, and those that may be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in told.stdout.splitlines() if not name.startswith(_LEFT_OUT)]
    return [name for name in names if (ROOT / name).suffix not in _BINARY]


def secrets(names: list[str]) -> list[tuple[str, str, int, str]]:
    """Path, digest, line and kind of what looks like a secret in the files."""
    plugins: list[dict[str, Any]] = [{"name": name} for name in _PLUGINS]
    plugins += [{"name": name, "limit": limit} for name, limit in _ENTROPY]
    with transient_settings({"plugins_used": plugins}):
        collection = SecretsCollection(root=str(ROOT))
        for name in names:
            if (ROOT / name).is_file():
                collection.scan_file(name)
    return [(name, one.secret_hash, one.line_number, one.type) for name, one in collection]


if __name__ == "__main__":
    sys.exit(main())
