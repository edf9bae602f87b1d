"""What the commands of the command line do; `__main__` reads the options."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import parse_qsl

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from ehr_server import app, clock, collector, sealing
from ehr_server.access.caller import LOOPBACK
from ehr_server.access.log import log_bulk
from ehr_server.access.veiled import veil_of
from ehr_server.admission.fetch import is_loopback
from ehr_server.admission.issuers import issuers
from ehr_server.call import Request
from ehr_server.changes.change import InForce, Means, means
from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import shipped
from ehr_server.definitions.profile import ProfileError
from ehr_server.doctor.examine import examine
from ehr_server.errors import Refusal
from ehr_server.fhir import json
from ehr_server.fhir.dates import span
from ehr_server.fhir.outcome import issues_of
from ehr_server.identity.weights import bits
from ehr_server.intake.lines import Item, whole
from ehr_server.intake.sources import files as files_of
from ehr_server.intake.sources import source
from ehr_server.issue import Issue
from ehr_server.jobs.export import Wish, export_to
from ehr_server.jobs.reindex import reindex_now
from ehr_server.jobs.training import train
from ehr_server.packages.dependencies import missing, ordered
from ehr_server.packages.load import Loaded, load_code_list
from ehr_server.packages.load import load as load_packages
from ehr_server.packages.read import PackageError
from ehr_server.packages.read import read as read_package
from ehr_server.packages.shelf import on_shipped
from ehr_server.rest.dispatch import Dispatch
from ehr_server.rest.routes import INTERACTIONS, RouteTable
from ehr_server.search.results import EXPLAIN
from ehr_server.settings import Settings, share_counts
from ehr_server.store.backup.archive import BackupError, Manifest
from ehr_server.store.backup.backup import backup as write_backup
from ehr_server.store.backup.backup import new_file
from ehr_server.store.backup.restore import restore as read_backup
from ehr_server.store.connect import Store
from ehr_server.store.embedded import embedded, running
from ehr_server.store.files import Form
from ehr_server.store.findings import Sought, counts
from ehr_server.store.keyring import prepare
from ehr_server.store.migrate import migrate as migrate_to_newest
from ehr_server.store.packages import stored
from ehr_server.store.search_parameters import generation
from ehr_server.store.weights import store as store_weights
from ehr_server.terminology import published
from ehr_server.validation.policy import policy
from ehr_server.validation.rulebook import Rulebook
from ehr_server.views.tables import Tables, read_files
from ehr_server.web import serve as web_serve
from ehr_server.web.rates import Rates
from ehr_server.web.tls import tls_files

log = logging.getLogger(__name__)


class CommandError(Exception):
    """A command cannot do what it was asked; the text says why and what to do."""


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the given database, or of the embedded one: a server's that runs, or our own."""
    if settings.database_url:
        yield settings.database_url
        return
    url = running(settings.data_dir)
    if url is not None:
        yield url
        return
    with embedded(settings.data_dir) as url:
        yield url


def serve(settings: Settings, _options: argparse.Namespace) -> int:
    """Migrate, then serve until told to stop."""
    _refuse_open_address(settings)
    tls_files(settings)  # refused now, before the database is touched
    with (
        nullcontext(settings.database_url)
        if settings.database_url
        else embedded(settings.data_dir) as url,
        TemporaryDirectory(prefix="ehr-server-") as counts,
    ):
        if settings.workers > 1 and not settings.no_metrics:
            share_counts(Path(counts))
        migrate_to_newest(url)
        prepare(url, settings.encryption_key)
        opening = app.Opening(settings, url, Rates())
        web_serve.serve(settings, opening)
    return 0


def migrate(settings: Settings, _options: argparse.Namespace) -> int:
    """Bring the schema up to date."""
    with database(settings) as url:
        migrate_to_newest(url)
    return 0


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store of a command that works beside a server or without one."""
    with database(settings) as url:
        migrate_to_newest(url)
        prepare(url, settings.encryption_key)
        store = app.open_store(settings, url)
        collector.settle()
        try:
            yield store
        finally:
            store.close()


def export(settings: Settings, options: argparse.Namespace) -> int:
    """Write the files of resources, or of the rows of views, and a manifest to a folder."""
    since = since_of(settings, options)
    types = [_known(type_name) for type_name in options.type or ()]
    tables = _tables(settings, options)
    wanted = options.deidentify, options.restricted or ()
    veil = veil_of(settings, LOOPBACK.anew(), wanted, clock.now())
    with opened(settings) as store, _progress("exported") as told:
        if settings.audit != "off":
            log_bulk(store, LOOPBACK.anew(), "export-command", ",".join(types))
        form: Form = "gzip" if options.gzip else "ndjson"
        form = "parquet" if options.format == "parquet" else form
        wish = Wish(types, since, form, settings.processes, tables, veil)
        manifest = export_to(store, options.out, wish, told)
    count = sum(file["count"] for file in manifest["output"])
    what = "resources" if tables is None else "rows"
    print(f"{count} {what} in {len(manifest['output'])} files, as of ", end="")
    print(manifest["transactionTime"])
    return 0


def _tables(settings: Settings, options: argparse.Namespace) -> Tables | None:
    """The views that the options name, checked; None where they name none."""
    if (options.type or options.gzip) if options.view else options.format in ("csv", "json"):
        raise CommandError("--view goes without --type and --gzip; csv and json go with it alone.")
    if not options.view:
        return None
    return read_files(options.view, options.format or "ndjson", settings.public_url)


def backup(settings: Settings, options: argparse.Namespace) -> int:
    """Write the whole record to a file, or to standard output, while others read and write."""
    is_piped = str(options.file) == _PIPE
    place = nullcontext(sys.stdout.buffer) if is_piped else new_file(options.file)
    try:
        with database(settings) as url, place as file, _progress("bytes read") as told:
            manifest = write_backup(url, file, told)
    except BackupError as error:
        raise CommandError(f"{error}.") from None
    _tell_counts("saved", manifest, to=sys.stderr if is_piped else sys.stdout)
    return 0


def restore(settings: Settings, options: argparse.Namespace) -> int:
    """Put the record of a backup into a database that holds none."""
    is_piped = str(options.file) == _PIPE
    try:
        with (
            nullcontext(sys.stdin.buffer) if is_piped else options.file.open("rb") as file,
            database(settings) as url,
            _progress("bytes restored") as told,
        ):
            manifest = read_backup(url, file, told, replace=options.replace)
    except BackupError as error:
        raise CommandError(f"{error}.") from None
    _tell_counts("restored", manifest, to=sys.stdout)
    return 0


_PIPE = "-"


def _tell_counts(deed: str, manifest: Manifest, to: TextIO) -> None:
    versions = sum(
        table.rows for name, table in manifest.tables.items() if name.startswith("version_")
    )
    print(f"{deed}: {versions} versions, {manifest.rows} rows in all", file=to)


def work(settings: Settings, _options: argparse.Namespace) -> int:
    """Run background jobs until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as store, ExitStack() as working:
        app.start_workers(app.open_dispatch(store, settings, working), working)
        print("ready", flush=True)
        stop.wait()
    return 0


def doctor(settings: Settings, options: argparse.Namespace) -> int:
    """Print what is well and what is not, with what mends it; 1 when anything fails."""
    findings = []
    for one in examine(settings):
        findings.append(one)
        if not options.json:
            print(f"{one.level:<4}  {one.what}", flush=True)
            if one.mend:
                print(f"      -> {one.mend}", flush=True)
    if options.json:
        print(json.write_pretty([one.as_json() for one in findings]).decode())
    return 1 if any(one.level == "fail" for one in findings) else 0


def reindex(settings: Settings, options: argparse.Namespace) -> int:
    """Build the search index anew, of the types given or of all."""
    types = options.type or definitions().resource_types
    with opened(settings) as store, _progress("indexed") as told:
        with_these = _means(store, settings)
        count = reindex_now(with_these, [_known(type_name) for type_name in types], told)
    print(f"{count} resources indexed")
    return 0


def train_match(settings: Settings, options: argparse.Namespace) -> int:
    """Print the weights of $match, and those that the record's own pairs speak for."""
    with opened(settings) as store, _progress("persons") as told:
        found = train(store, _means(store, settings).rules, told)
        if options.store:
            with store.connection() as connection:
                store_weights(connection, found.learnt.rows)
    print("field\tlevel\tm\tu\tbits\tnew m\tnew u\tnew bits")
    for (field, level, *old), (_, _, *new) in zip(found.before, found.learnt.rows, strict=True):
        told_ = [f"{m:.3g}\t{u:.3g}\t{bits(m, u):+.1f}" for m, u in (old, new)]
        print("\t".join((field, level, *told_)))
    print(
        f"{found.persons} persons, {found.pairs} pairs in blocks, "
        f"{found.learnt.expected:.0f} of them of one person; "
        + ("stored" if options.store else "not stored: --store does that")
    )
    return 0


def validate(settings: Settings, options: argparse.Namespace) -> int:
    """Check files against the standard, profiles and packages; print the findings; 1 when any is
    an error."""
    profiles = tuple(options.profile or ())
    rulebook = _offline(settings, options.package or (), profiles)
    status = checked = findings = 0
    for file in given_files(options):
        for item in whole(source(file), 0, settings.import_line_bytes_max):
            checked += 1
            found = _checked(rulebook, item, profiles)
            findings += len(found)
            for issue in found:
                place = issue.expression[0] if issue.expression else ""
                print(f"{file}:{item.line}: {issue.severity}: {place}: {issue.text}")
                status = 1 if issue.severity in ("error", "fatal") else status
    print(f"{checked} files and lines checked, {findings} findings")
    return status


def _checked(rulebook: Rulebook, item: Item, profiles: tuple[str, ...]) -> list[Issue]:
    if item.fault is not None:
        return [Issue("error", "structure", item.fault[0], vi=item.fault[1])]
    try:
        value = json.read(item.data)
    except Refusal as refusal:
        return list(issues_of(refusal))
    return rulebook.check(value, profiles=profiles) if isinstance(value, dict) else [_NO_RESOURCE]


def _offline(settings: Settings, files: Sequence[Path], profiles: Sequence[str]) -> Rulebook:
    """What files are held to without a database: what is shipped, and the packages in `files`."""
    catalog = shipped()
    try:
        packages = ordered([read_package(file) for file in files])
    except PackageError as error:
        raise CommandError(f"{error}.") from None
    absent = missing(packages, catalog.packages)
    if absent:
        raise CommandError(f"--package is missing for {', '.join(absent)}.")
    for package in packages:
        catalog = catalog.plus(package.label, package.artifacts)
    rulebook = Rulebook(catalog, policy(settings))
    for url in profiles:
        try:
            is_there = rulebook.held(url) is not None
        except ProfileError as error:
            raise CommandError(str(error)) from None
        if not is_there:
            raise CommandError(f"the profile {url} is not there; give its package with --package.")
    return rulebook


def quality(settings: Settings, options: argparse.Namespace) -> int:
    """Print how often which findings did not stand in the way, by sender."""
    since = since_of(settings, options)
    with opened(settings) as store, store.connection() as connection:
        rows = counts(connection, Sought(since=since, sender=options.sender), _QUALITY_MAX)
    print("count\tsender\tseverity\tplace\trule\tprofile")
    for row in rows:
        kind = row.kind
        words = (row.count, row.sender, kind.severity, kind.path, kind.rule, kind.profile)
        print("\t".join(map(str, words)))
    return 0


def load_package(settings: Settings, options: argparse.Namespace) -> int:
    """Load implementation guides; print the findings; 1 when they were refused."""
    with opened(settings) as store:
        try:
            loaded = load_packages(
                store, options.files, without_dependencies=options.without_dependencies
            )
        except PackageError as error:
            raise CommandError(f"{error}.") from None
    _tell(loaded)
    if loaded.is_refused:
        return 1
    said = "loaded" if loaded.is_new else "already loaded"
    for package in loaded.packages:
        profiles = sum(one.type == "StructureDefinition" for one in package.artifacts)
        print(
            f"{package.label} is {said}: "
            f"{len(package.artifacts)} artifacts, {profiles} of them StructureDefinitions"
        )
    return 0


_QUALITY_MAX = 1_000  # rows


def load_codes(settings: Settings, options: argparse.Namespace) -> int:
    """Load a published code list; print the findings; 1 when it was refused."""
    if not options.system and options.format != "fhir":
        raise CommandError("--system is needed: the url by which codes name this list.")
    head = published.Head(options.system, options.version, options.name)
    try:
        codes = published.read(options.file, options.format, head)
    except published.ListError as error:
        raise CommandError(f"{options.file}: {error}.") from None
    with opened(settings) as store:
        loaded = load_code_list(store, codes)
    _tell(loaded)
    if loaded.is_refused:
        return 1
    (package,) = loaded.packages
    count = len(codes.get("concept", ()))
    said = "loaded" if loaded.is_new else "already loaded"
    print(f"{package.label} is {said}: {count} concepts of {codes['url']}")
    return 0


def explain(settings: Settings, options: argparse.Namespace) -> int:
    """Print a search as it is understood, its statements, their plans and times; 1 when it is
    refused."""
    path, _, text = options.search.partition("?")
    pairs = [pair for pair in parse_qsl(text, keep_blank_values=True) if pair[0] != EXPLAIN]
    segments = tuple(filter(None, path.rpartition("/fhir/")[2].split("/")))
    request = Request("GET", segments, (*pairs, (EXPLAIN, "true")), {"accept-language": "en"})
    with opened(settings) as store:
        store.secret(sealing.KEY)
        with_these = _means(store, settings)
        table, rulebook = RouteTable(INTERACTIONS), with_these.rulebook
        dispatch = Dispatch(store, settings, table, lambda: rulebook, with_these.searchable)
        answer = dispatch.answer(request, LOOPBACK.anew(), with_these.base_url)
    told: dict[str, Any] = json.read(answer.body) if isinstance(answer.body, bytes) else {}
    if answer.status == 200:
        first: dict[str, Any] = next(iter(told.get("entry", ())), {})
        told = first["resource"] if first.get("search") == {"mode": "outcome"} else {}
    if not told:
        raise CommandError(f"{options.search} is not a search such as 'Patient?name=x'.")
    _tell_issues(told["issue"])
    return 0 if answer.status == 200 else 1


def _tell_issues(issues: Sequence[dict[str, Any]]) -> None:
    """Each under its text; colours where there is a terminal."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for issue in issues:
        is_told = issue["severity"] == "information"
        head = issue["details"]["text"]
        console.print(head if is_told else f"{issue['severity']}: {head}", style="bold")
        if is_told:
            console.print(issue["diagnostics"], end="\n\n")


def _tell(loaded: Loaded) -> None:
    """Print what was found about that which was to be loaded."""
    for issue in loaded.findings:
        place = f" ({issue.expression[0]})" if issue.expression else ""
        print(f"{issue.severity}: {issue.text}{place}")
    if loaded.is_refused:
        errors = sum(issue.severity == "error" for issue in loaded.findings)
        print(f"nothing was loaded: {errors} errors")


_NO_RESOURCE = Issue("error", "structure", "Not a FHIR resource: an object is expected.")


def given_files(options: argparse.Namespace) -> list[Path]:
    """The files that a command is given. Raises `CommandError` for what is not there."""
    try:
        return files_of(options.paths)
    except FileNotFoundError as error:
        raise CommandError(f"{error}.") from None


def _means(store: Store, settings: Settings) -> Means:
    rulebook = Rulebook(on_shipped(stored(store).layers), policy(settings))
    in_force = InForce(rulebook)
    with store.connection() as connection:
        in_force.searchable.of(connection, generation(connection))
    return means(store, settings, in_force, LOOPBACK.anew(), base_url(settings))


def base_url(settings: Settings) -> str:
    """The address of the FHIR base, as far as the settings tell."""
    return settings.public_url or f"http://{settings.host}:{settings.port}/fhir"


def since_of(settings: Settings, options: argparse.Namespace) -> datetime | None:
    """The instant that `--since` names, if it is given."""
    if not options.since:
        return None
    try:
        return span(options.since, settings.zone)[0]
    except ValueError as error:
        raise CommandError(f"--since {error}.") from None


def _known(type_name: str) -> str:
    if type_name not in definitions().type_number:
        raise CommandError(f"{type_name} is not a resource type of FHIR R4.")
    return type_name


@contextmanager
def _progress(deed: str) -> Iterator[Callable[[int], None]]:
    """A line with count and rate on standard error, where that is a terminal."""
    columns = (TextColumn("{task.completed} " + deed), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(deed, total=None)
        yield lambda count: bar.update(task, advance=count)


def _refuse_open_address(settings: Settings) -> None:
    """Without authentication only a loopback address may be served."""
    issuers(settings)  # refused now, not by each process
    is_here = is_loopback(settings.host)
    if settings.auth == "open" and not is_here:
        raise CommandError(
            f"--host {settings.host} would open the records to the network, and no authentication "
            "is configured: set --auth required, or serve on 127.0.0.1."
        )
    if settings.auth == "required" and not is_here and not settings.public_url:
        raise CommandError("--auth required needs --base-url: tokens are made for that address.")
    if settings.auth == "open":
        log.warning("no authentication: everyone on this machine may read and write every record")
