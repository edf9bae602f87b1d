"""Run a command with EHR_TEST_DATABASE_URL set to a throwaway PostgreSQL.

    python tests/given_postgresql.py /usr/lib/postgresql/15/bin pytest -m smoke

The cluster is made from the programs in the folder given, in a temporary folder, and removed
afterwards. Root runs it as `nobody`.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_SETTINGS = {"listen_addresses": "", "fsync": "off", "max_locks_per_transaction": "256"}


def main() -> int:
    """The exit status of the command."""
    programs, command = Path(sys.argv[1]), sys.argv[2:]
    folder = Path(tempfile.mkdtemp(prefix="ehr-given-"))  # 0700: who can connect is who owns it
    user = None
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
    options = {
        "user": user and user.pw_uid,
        "group": user and user.pw_gid,
        "extra_groups": user and [],
        "cwd": "/",
    }
    cluster = folder / "cluster"
    control = [programs / "pg_ctl", "-D", cluster, "-w", "-s"]
    try:
        initdb = [programs / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-N"]
        encoding = ["-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*initdb, *encoding], check=True, stdout=subprocess.DEVNULL, **options)
        settings = " ".join(f"-c {name}='{value}'" for name, value in _SETTINGS.items())
        start = [*control, "-o", f"-k {folder} {settings}", "-l", folder / "log", "start"]
        subprocess.run(start, check=True, **options)
        url = f"postgresql://postgres@/postgres?host={folder}"
        done = subprocess.run(command, env=os.environ | {"EHR_TEST_DATABASE_URL": url}, check=False)
        return done.returncode
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **options)
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
