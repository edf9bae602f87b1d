"""Checks of the database, each on facts that were gathered before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ehr_server.doctor.finding import Finding, fail, ok, warn
from ehr_server.settings import Settings
from ehr_server.store.checkup import Facts, Record
from ehr_server.store.queue import FAILED

_VERSION_LEAST = 15
_SKEW_WARN_S, _SKEW_FAIL_S = 2, 60
_BESIDE = 4  # connections of a process beside its pool: it follows what is loaded, answers, looks


@dataclass(frozen=True, slots=True)
class Case:
    """What a check is given: the database, and what this program is."""

    facts: Facts
    settings: Settings
    newest: str
    index_format: int


def version(case: Case) -> Finding:
    number = int(case.facts.settings["server_version_num"])
    what = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number // 10_000 < _VERSION_LEAST:
        return fail(what, f"the server needs PostgreSQL {_VERSION_LEAST} or newer: upgrade it")
    return ok(what)


def encoding(case: Case) -> Finding:
    if case.facts.encoding != "UTF8":
        return fail(f"the database is in {case.facts.encoding}",
                    "make a database with encoding UTF8 and move the record there")  # fmt: skip
    return ok("the database is in UTF8")


def standby(case: Case) -> Finding:
    if case.facts.is_in_recovery:
        return fail("the database is a standby, which takes no writes",
                    "set database-url to the primary")  # fmt: skip
    return ok("the database takes writes")


def schema(case: Case) -> Finding:
    """Behind, ahead, or not there."""
    found, newest = case.facts.revision, case.newest
    if found is None:
        return ok("the database is empty; the first start makes the schema")
    if found < newest:
        return fail(f"the schema is at {found}, this program needs {newest}",
                    "run ehr-server migrate, or start the server, which does it")  # fmt: skip
    if found > newest:
        return fail(f"the schema is at {found}, newer than the {newest} of this program",
                    "install the version of ehr-server that made it, or a newer one")  # fmt: skip
    return ok(f"the schema is at {found}, the newest")


def rights(case: Case) -> Finding:
    if not case.facts.may_create:
        return fail("the user of the database may not create tables",
                    "grant create on database and on schema public to it")  # fmt: skip
    return ok("the user of the database may create tables")


def durable(case: Case) -> Finding:
    """What is acknowledged must be on disk."""
    names = ("fsync", "full_page_writes")
    off = [name for name in names if case.facts.settings[name] != "on"]
    if case.facts.settings["synchronous_commit"] == "off":
        off.append("synchronous_commit")
    if off:
        return fail(f"{', '.join(off)} off: a crash loses what was acknowledged",
                    "; ".join(f"alter system set {name} = on" for name in off)
                    + "; then select pg_reload_conf()")  # fmt: skip
    return ok("what is committed is on disk")


def vacuum(case: Case) -> Finding:
    if case.facts.settings["autovacuum"] != "on":
        return fail("autovacuum is off: searches become slow, and in the end writes stop",
                    "alter system set autovacuum = on; select pg_reload_conf()")  # fmt: skip
    return ok("autovacuum is on")


def connections(case: Case) -> Finding:
    settings = case.settings
    wanted = settings.workers * (settings.pool_size + _BESIDE)
    reserved = int(case.facts.settings["superuser_reserved_connections"])
    there = int(case.facts.settings["max_connections"]) - reserved
    what = f"{settings.workers} processes take up to {wanted} connections, {there} are to be had"
    if wanted > there:
        return fail(what, "lower workers or pool-size, or raise max_connections of PostgreSQL")
    return ok(what)


def clocks(case: Case) -> Finding:
    skew = case.facts.skew_s
    what = f"the clock of the database differs from this one by {abs(skew):.1f} s"
    mend = "let both machines keep time (chrony, systemd-timesyncd)"
    if abs(skew) > _SKEW_FAIL_S:
        return fail(what, mend)
    return warn(what, mend) if abs(skew) > _SKEW_WARN_S else ok(what)


def old_transactions(case: Case) -> Finding:
    count = case.facts.old_transactions
    if count:
        return warn(f"{count} transactions are open for more than an hour: nothing is cleaned up",
                    "see pg_stat_activity and end them by pg_terminate_backend")  # fmt: skip
    return ok("no transaction is open for long")


CHECKS: tuple[Callable[[Case], Finding], ...] = (
    version,
    encoding,
    standby,
    schema,
    rights,
    durable,
    vacuum,
    connections,
    clocks,
    old_transactions,
)


def index(record: Record, case: Case) -> Finding:
    if record.index_format is None:
        return ok("nothing is stored yet")
    if record.index_format < case.index_format:
        return warn(f"the search index is of format {record.index_format}, the newest is "
                    f"{case.index_format}: searches find everything, but slower",
                    "let the server run, whose worker renews it, or run "
                    "ehr-server reindex")  # fmt: skip
    return ok(f"the search index is of format {record.index_format}, the newest")


def invalid_indexes(record: Record, _case: Case) -> Finding:
    names = record.invalid_indexes
    if names:
        return fail(f"{len(names)} indexes are not valid: {', '.join(names)}",
                    "; ".join(f"reindex index {name}" for name in names))  # fmt: skip
    return ok("all indexes are valid")


def jobs(record: Record, _case: Case) -> Finding:
    failed = sum(count for _, state, count in record.jobs if state == FAILED)
    if record.jobs_stuck:
        return warn(f"{record.jobs_stuck} background jobs wait for a worker",
                    "start the server without --no-worker, or ehr-server worker")  # fmt: skip
    if failed:
        return warn(f"{failed} background jobs have failed",
                    "the log names each with its error; start them anew")  # fmt: skip
    return ok("no background job is stuck or has failed")


def search_parameters(record: Record, _case: Case) -> Finding:
    if record.building:
        return warn(f"search parameters of {', '.join(record.building)} wait for their index",
                    "start the server, which sees to it, or run ehr-server reindex")  # fmt: skip
    return ok("every search parameter has its index, or a job that builds it")


OF_RECORD: tuple[Callable[[Record, Case], Finding], ...] = (
    index,
    invalid_indexes,
    jobs,
    search_parameters,
)
