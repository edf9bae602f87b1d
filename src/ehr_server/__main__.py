"""The command line: `ehr-server COMMAND`. Every option stands in the table of settings."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ehr_server import (
    __version__,
    auditing,
    commands,
    importing,
    keys,
    registering,
    watching,
)
from ehr_server.errors import Refusal
from ehr_server.intake.wish import DANGLINGS, IDS, MATCHES
from ehr_server.setting import Setting, SettingError
from ehr_server.settings import TABLE, read_settings
from ehr_server.store.embedded import EmbeddedError
from ehr_server.store.queue import STATES
from ehr_server.telemetry import configure
from ehr_server.terminology.published import FORMATS

_DATABASE = ("data_dir", "database_url", "encryption_key", "log_level")
_INDEXING = ("time_zone", "base_url")  # the index depends on them
_EXPORTING = (*_DATABASE, "processes")
_WRITING = (*_DATABASE, *_INDEXING, "references", "pool_size")
_HOLDING = ("log_level", "profiles", "identifiers", "refuse_modifiers")
_IMPORTING = (*_WRITING, *_HOLDING, "import_workers", "import_line_bytes_max", "disk_free_mb_min")
_SEARCHING = (
    *_DATABASE,
    "base_url",
    "time_zone",
    "count_default",
    "count_max",
    "statement_timeout_ms",
)
_LISTENING = ("host", "port", "workers", "no_worker")  # a worker answers requests, of its own
_HELD_TO = "a profile that everything must keep to; may be given several times"
_AND = "a FHIR package with further profiles; may be given several times"
_VIEW = "a ViewDefinition as JSON: its rows in place of resources; several are possible"
_FORMATS = ("ndjson", "parquet", "csv", "json")
_IN_FORMAT = "of the rows of views, or parquet for a table of resources; ndjson by default"
_WITHOUT = "leave out what tells who somebody is, by a policy such as research"
_WITH_IT = "with --deidentify: tell this that is restricted too, such as HIV; several are possible"
_ONLY = "only this type; may be given several times"
_FROM = "NDJSON, a resource or a Bundle (.gz too), or a folder of them"
_WORKERS = "the same as --import-workers"
_IDS = "keep the ids of resources, or assign new ones, the same each time; default keep"
_MATCH = "update what has the same id, or the one that holds an identifier; default id"
_DANGLING = "keep references to nothing, or remove them; told in any case; default keep"
_SOURCE = "where all of it comes from: told by meta.source, and ids are assigned by it"
_STOP = "stop at the first line that is refused; else the others go on"
_REPORT = "write what was found as OperationOutcomes, one a line, too"
_PACKAGE = "a FHIR package; several are loaded in the order of their dependencies, or none is"
_WITHOUT = "load although packages are missing; what would need them is not checked"
_SEARCH = "what follows the FHIR base in the address, such as 'Patient?name=x'; or all of that"
_NEW = "a new file, readable by its owner alone"
_LEARN = "from now on $match and the search for duplicates go by what was learnt"
_REPLACE = "give up the record that the database holds"
_KEYS = "the keys of a record that is encrypted at rest"
_COUNT = "look how many contents are in clear or sealed by a former key"
_INDEX = "for the index, while no server runs; then `ehr-server keys encrypt`"
_LIST = "the file as published; for rf2 the folder of the release"
_FORM = "csv: code,display[,parent][,display_vi], by commas, semicolons or tabs; default csv"
_PROVE = "Prove the access log whole: what is sealed cannot be altered unseen."
_HEAD = "a head that was printed before and kept elsewhere: it must still be there"
_SCOPE = "what it may ask for, such as system/Observation.rs; several are possible"
_RIGHTS = "the policy that says what such programs may do"
_PURPOSE = "what it may ask for data for, a code such as TREAT; several are possible"
_JWKS = "its public keys: a JWK set, or the https address of one"
_PAIR = "make a key pair for it, and give the private key away once; ES384 unless told otherwise"
_OUT = "a new file for the private key, readable by its owner alone"
_OVERLAP = "hours for which the keys of before serve on; default 24"
_TAKES: dict[type, str] = {int: "NUMBER", Path: "PATH", str: "TEXT"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits 0 when it did what was asked, 1 when not, 2 for wrong options."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(vars(options))
        configure(settings.log_level)
        status = options.command(settings, options)
    except (SettingError, EmbeddedError, Refusal, commands.CommandError) as error:
        sys.exit(f"ehr-server: {error}")
    except OSError as error:  # a port in use, a file that cannot be read, a full disk
        reason = f"{error.filename}: {error.strerror}" if error.filename else error
        sys.exit(f"ehr-server: {reason}")
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ehr-server", description="A FHIR R4 server for lifelong personal health records."
    )
    parser.add_argument("--version", action="version", version=f"ehr-server {__version__}")
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    everything = tuple(row.name for row in TABLE)
    working = tuple(name for name in everything if name not in _LISTENING)
    with _command(below, "serve", "migrate, then serve", everything) as one:
        one.set_defaults(command=commands.serve)
    with _command(below, "worker", "run background jobs", working) as one:
        one.set_defaults(command=commands.work)
    with _command(below, "migrate", "bring the schema up to date", _DATABASE) as one:
        one.set_defaults(command=commands.migrate)
    with _command(below, "doctor", "say what is wrong here, and what mends it", everything) as one:
        one.add_argument("--json", action="store_true", help="the findings as JSON")
        one.set_defaults(command=commands.doctor)
    with _command(below, "reindex", "build the search index anew", _WRITING) as one:
        one.add_argument("--type", action="append", metavar="TYPE", help=_ONLY)
        one.set_defaults(command=commands.reindex)
    with _command(below, "train-match", "learn how records of one person agree", _SEARCHING) as one:
        one.add_argument("--store", action="store_true", help=_LEARN)
        one.set_defaults(command=commands.train_match)
    _bulk(below)
    _audit(below)
    _clients(below)
    with _command(below, "backup", "write the whole record to a file", _DATABASE) as one:
        one.add_argument("file", type=Path, metavar="FILE", help=f"{_NEW}, or - for a pipe")
        one.set_defaults(command=commands.backup)
    with _command(below, "restore", "put a backup into an empty database", _DATABASE) as one:
        one.add_argument("file", type=Path, metavar="FILE", help="a backup, or - for a pipe")
        one.add_argument("--replace", action="store_true", help=_REPLACE)
        one.set_defaults(command=commands.restore)
    with _command(below, "load-package", "load implementation guides", _DATABASE) as one:
        one.add_argument("files", nargs="+", type=Path, metavar="FILE.tgz", help=_PACKAGE)
        one.add_argument("--without-dependencies", action="store_true", help=_WITHOUT)
        one.set_defaults(command=commands.load_package)
    with _command(below, "load-codes", "load a published code list", _DATABASE) as one:
        one.add_argument("file", type=Path, metavar="FILE", help=_LIST)
        one.add_argument("--system", default="", metavar="URL", help="its canonical url")
        one.add_argument("--version", default="", metavar="V", help="its version")
        one.add_argument("--name", default="", metavar="N", help="what to call it")
        one.add_argument("--format", choices=tuple(FORMATS), default="csv", help=_FORM)
        one.set_defaults(command=commands.load_codes)
    with _command(below, "validate", "check files, print findings", _HOLDING) as one:
        one.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=_FROM)
        one.add_argument("--profile", action="append", metavar="URL", help=_HELD_TO)
        one.add_argument("--package", action="append", type=Path, metavar="FILE.tgz", help=_AND)
        one.set_defaults(command=commands.validate)
    with _command(below, "quality", "count what was found in what is stored", _DATABASE) as one:
        one.add_argument("--since", metavar="INSTANT", help="only what was stored since then")
        one.add_argument("--sender", metavar="NAME", help="only what this sender sent")
        one.set_defaults(command=commands.quality)
    with _command(below, "explain", "tell how a search is understood and run", _SEARCHING) as one:
        one.add_argument("search", metavar="SEARCH", help=_SEARCH)
        one.set_defaults(command=commands.explain)
    _keys(below)
    return parser


def _keys(below: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands for the keys of a record that is encrypted at rest."""
    parser = below.add_parser("keys", help=_KEYS, description=_KEYS[:1].upper() + _KEYS[1:] + ".")
    deeds = parser.add_subparsers(required=True, metavar="DEED")
    for name, help_, command in keys.COMMANDS:
        with _command(deeds, name, help_, _WRITING) as one:
            one.set_defaults(command=command)
            if name == "list":
                one.add_argument("--count", action="store_true", help=_COUNT)
            if name == "rotate":
                one.add_argument("--index", action="store_true", help=_INDEX)


def _bulk(below: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands for very many resources at a time."""
    with _command(below, "import", "load NDJSON files and Bundles", _IMPORTING) as one:
        one.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=_FROM)
        _import_options(one)
        one.set_defaults(command=importing.import_)
    with _command(below, "export", "write NDJSON files and a manifest", _EXPORTING) as one:
        one.add_argument(
            "--out", type=Path, required=True, metavar="DIR", help="folder to write to"
        )
        one.add_argument("--type", action="append", metavar="TYPE", help=_ONLY)
        one.add_argument("--since", metavar="INSTANT", help="only what changed since then")
        one.add_argument("--gzip", action="store_true", help="write the files as gzip")
        one.add_argument("--view", action="append", type=Path, metavar="FILE", help=_VIEW)
        one.add_argument("--format", choices=_FORMATS, help=_IN_FORMAT)
        one.add_argument("--deidentify", default="", metavar="POLICY", help=_WITHOUT)
        one.add_argument("--restricted", action="append", metavar="REASON", help=_WITH_IT)
        one.set_defaults(command=commands.export)
    with _command(below, "jobs", "list the work in the background", _DATABASE) as one:
        one.add_argument("--kind", metavar="KIND", help="only of a kind, such as export")
        one.add_argument("--state", choices=STATES, help="only in a state")
        one.add_argument("--count", type=int, default=20, metavar="N", help="at most so many")
        one.add_argument("--watch", action="store_true", help="again and again, until all ended")
        one.set_defaults(command=watching.jobs)


def _audit(below: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The commands of the access log."""
    above = below.add_parser("audit", help="prove the access log whole", description=_PROVE)
    inner = above.add_subparsers(required=True, metavar="COMMAND")
    with _command(
        inner, "verify", "say which rows were altered, removed or added", _DATABASE
    ) as one:
        one.add_argument("--since", metavar="INSTANT", help="only rows that were sealed since then")
        one.add_argument("--head", metavar="HEX", help=_HEAD)
        one.set_defaults(command=auditing.verify)
    with _command(inner, "head", "print the head of the newest seal", _DATABASE) as one:
        one.set_defaults(command=auditing.head)


def _clients(below: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Who gets tokens here."""
    help_ = "programs that get tokens here"
    client = below.add_parser("client", help=help_, description=help_[:1].upper() + help_[1:] + ".")
    deeds = client.add_subparsers(required=True, metavar="DEED")
    with _command(deeds, "add", "register a program", _DATABASE) as one:
        one.add_argument("id", metavar="ID", help="what it is called, in the record too")
        one.add_argument("--name", default="", metavar="TEXT", help="what people call it")
        one.add_argument("--scope", action="append", required=True, metavar="SCOPE", help=_SCOPE)
        one.add_argument("--policy", default="", metavar="NAME", help=_RIGHTS)
        one.add_argument("--facility", metavar="ID", help="the Organization that it works for")
        one.add_argument("--purpose", action="append", metavar="CODE", help=_PURPOSE)
        _key_options(one)
        one.set_defaults(command=registering.add)
    with _command(deeds, "list", "list the programs and their keys", _DATABASE) as one:
        one.set_defaults(command=registering.list_)
    with _command(deeds, "revoke", "let a program in no more", _DATABASE) as one:
        one.add_argument("id", metavar="ID", help="of the program")
        one.set_defaults(command=registering.revoke)
    with _command(deeds, "rotate", "give a program new keys", _DATABASE) as one:
        one.add_argument("id", metavar="ID", help="of the program")
        one.add_argument("--overlap-h", type=int, default=24, metavar="HOURS", help=_OVERLAP)
        _key_options(one)
        one.set_defaults(command=registering.rotate)
    with _command(deeds, "rotate-own", "sign tokens with a new key", _DATABASE) as one:
        one.set_defaults(command=registering.rotate_own)


def _key_options(one: argparse.ArgumentParser) -> None:
    keys = one.add_mutually_exclusive_group(required=True)
    keys.add_argument("--jwks", metavar="FILE|URL", help=_JWKS)
    keys.add_argument(
        "--generate", nargs="?", const="ES384", choices=("ES384", "RS384"), help=_PAIR
    )
    one.add_argument("--out", type=Path, metavar="FILE", help=_OUT)


@contextmanager
def _command(
    below: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    help_: str,
    settings: Sequence[str],
) -> Iterator[argparse.ArgumentParser]:
    parser = below.add_parser(name, help=help_, description=help_[:1].upper() + help_[1:] + ".")
    for row in TABLE:
        if row.name in settings:
            _option(parser, row)
    yield parser


def _import_options(one: argparse.ArgumentParser) -> None:
    one.add_argument("--workers", dest="import_workers", metavar="NUMBER", help=_WORKERS)
    one.add_argument("--ids", choices=IDS, default="keep", help=_IDS)
    one.add_argument("--match", choices=MATCHES, default="id", help=_MATCH)
    one.add_argument("--dangling", choices=DANGLINGS, default="keep", help=_DANGLING)
    one.add_argument("--source", default="", metavar="URI", help=_SOURCE)
    one.add_argument("--stop-on-error", action="store_true", help=_STOP)
    one.add_argument("--report", type=Path, metavar="FILE", help=_REPORT)


def _option(parser: argparse.ArgumentParser, row: Setting) -> None:
    fallback = "" if row.default is None or row.kind is bool else f", default {row.default}"
    help_ = f"{row.help} [{row.variable}{fallback}]".replace("%", "%%")
    if row.kind is bool:
        parser.add_argument(row.option, action="store_true", default=None, help=help_)
    else:
        takes = "|".join(row.choices) or _TAKES[row.kind]
        parser.add_argument(row.option, metavar=takes, help=help_)


if __name__ == "__main__":
    main()
