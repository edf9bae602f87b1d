"""Every setting of the server, declared once: its name, type, default and meaning.

A setting `statement_timeout_ms` is the option `--statement-timeout-ms` on the command line, the
variable `EHR_STATEMENT_TIMEOUT_MS` in the environment or in `.env`, and a field of `Settings`.
The command line wins over the environment, the environment over `.env`, `.env` over the default.
Of a setting that is a secret a variable such as `EHR_DATABASE_URL_FILE` may name a file instead, in
which its value stands alone: what is mounted into a container shows in no list of variables.
`--help` and docs/reference/settings are made from `TABLE`. Nothing else reads the environment.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from dotenv import dotenv_values

from ehr_server.setting import PREFIX, Setting, SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TESTS = "EHR_TEST_"  # variables of the test suite, none of ours

Network = IPv4Network | IPv6Network

# https://datatracker.ietf.org/doc/html/rfc6454#section-6.2
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+", re.ASCII)

log = logging.getLogger(__name__)


def _setting(
    default: Any,
    help_: str,
    *,
    least: int | None = None,
    most: int | None = None,
    is_secret: bool = False,
) -> Any:
    facts = {"help": help_, "least": least, "most": most, "is_secret": is_secret}
    return field(default=default, metadata=facts, repr=not is_secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Read by `read_settings`; the defaults alone are `Settings()`."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "TCP port to listen on; 0 takes a free one.", least=0, most=65_535)
    base_url: str | None = _setting(
        None, "Address of the FHIR base as clients see it, such as https://ehr.example.vn/fhir."
    )
    data_dir: Path = _setting(  # noqa: RUF009
        Path("data"), "Folder of the embedded PostgreSQL and of the exported files."
    )
    database_url: str | None = _setting(
        None,
        "PostgreSQL 15 or newer to use instead of the embedded one, such as "
        "postgresql://user:password@host/database.",
        is_secret=True,
    )
    encryption_key: str | None = _setting(
        None,
        "Master keys of a record that is encrypted at rest, 32 bytes each in base64 or "
        "hexadecimal, divided by commas: the first one in use, then former ones. Whoever loses "
        "them loses the record; see docs/guides/encryption.md.",
        is_secret=True,
    )
    pool_size: int = _setting(
        8, "Most connections to PostgreSQL of one server process.", least=1, most=1_000
    )
    statement_timeout_ms: int = _setting(
        30_000, "Longest time one statement of a request may take, in milliseconds.", least=1
    )
    disk_free_mb_min: int = _setting(
        256,
        "Free MiB on the disk of the embedded PostgreSQL below which nothing more is stored, so "
        "that reading goes on; 0 does not look.",
        least=0,
    )
    workers: int = _setting(
        0, "Number of server processes; 0 starts one per processor.", least=0, most=256
    )
    no_worker: bool = _setting(
        False, "Leave background jobs to `ehr-server worker` instead of running them here."
    )
    lease_s: int = _setting(
        60, "Seconds without a sign of life after which a job is taken over.", least=1
    )
    export_keep_h: int = _setting(
        48,
        "Hours after its start for which the files of an export, and the answer to a request "
        "in the background, are kept.",
        least=1,
    )
    processes: int = _setting(
        0,
        "Number of processes that share the work of an export; 0 takes one per processor, and one "
        "more, since there is always one that waits for the disk.",
        least=0,
        most=256,
    )
    async_timeout_s: int = _setting(
        600,
        "Longest time one statement of a request in the background (Prefer: respond-async) may "
        "take, in seconds.",
        least=1,
        most=86_400,
    )
    export_dir: Path | None = _setting(  # noqa: RUF009
        None, "Folder of the files that $export writes; by default `export` in the data folder."
    )
    deidentify_dir: Path | None = _setting(  # noqa: RUF009
        None, "Folder of the site's own policies of de-identified exports, one JSON file each."
    )
    policies_dir: Path | None = _setting(  # noqa: RUF009
        None, "Folder of the site's own policies of access, one YAML file each."
    )
    import_dir: Path | None = _setting(  # noqa: RUF009
        None, "Folder below which $import may read files; none unless it is set."
    )
    import_origins: str = _setting(
        "",
        "Origins, divided by commas, that $import may fetch files from, such as "
        "https://his.example.vn; none unless they are named.",
    )
    import_workers: int = _setting(
        0,
        "Processes that one import runs in; 0 starts one per processor.",
        least=0,
        most=256,
    )
    import_bytes_max: int = _setting(
        16 * 1024**3, "Largest upload or fetched file of an import, in bytes.", least=1024
    )
    import_line_bytes_max: int = _setting(
        32 * 1024 * 1024,
        "Longest line, or JSON file, that an import reads, in bytes.",
        least=1024,
    )
    receipt_keep_days: int = _setting(
        400,
        "Days for which a push that is sent again under the same key gets its first answer.",
        least=1,
    )
    references: Literal["check", "accept"] = _setting(
        "check",
        "Whether a reference to this server must point to a resource that exists, and a resource "
        "that others refer to is not deleted; `accept` switches both off.",
    )
    duplicates: Literal["watch", "off"] = _setting(
        "watch",
        "Whether Patients that change are looked for among all others in the background, and what "
        "is likely of one person is put on the review list, as Tasks.",
    )
    audit: Literal["on", "lazy", "off"] = _setting(
        "on",
        "Whether the access log is kept: who read, searched, wrote or was refused what, for each "
        "person. What cannot be logged is not answered (503). `lazy` answers reads before their "
        "rows are on the disk: if the machine of the database crashes, those of the last second "
        "may be lost.",
    )
    cascade_max: int = _setting(
        10_000, "Most resources that one delete with `_cascade=delete` deletes along.", least=1
    )
    conditional_delete_max: int = _setting(
        1,
        "How many resources a conditional delete may delete at once; more that match are refused.",
        least=1,
        most=1_000,
    )
    profiles: str = _setting(
        "*=warn",
        "How strictly resources are held to profiles: rules TYPE=LEVEL or URL=LEVEL, divided by "
        "commas, with the levels off, warn and reject; * stands for all types.",
    )
    identifiers: Literal["off", "warn", "reject"] = _setting(
        "reject", "How strictly the shape of identifiers (CCCD, BHYT, ...) is checked."
    )
    identifier_systems: Literal["as-sent", "hl7-vn", "moh"] = _setting(
        "as-sent",
        "In which naming systems the identifiers of new versions are written: as they were sent, "
        "or all in those of HL7 Vietnam or of the Ministry of Health. A search understands all of "
        "them whatever is set.",
    )
    signatures: Literal["off", "verified", "required"] = _setting(
        "off",
        "Whether the signature of a Bundle is looked at: not at all; verified where there is one, "
        "and refused if it is wrong; or required of whatever is written.",
    )
    signature_keys_dir: Path | None = _setting(  # noqa: RUF009
        None,
        "Folder of the public keys that senders sign with: a JWK Set for each, named as the sender "
        "and `.json`.",
    )
    refuse_modifiers: str = _setting(
        "",
        "Resource types, divided by commas (* for all), in which a modifierExtension that is not "
        "known here is refused; elsewhere it is a warning.",
    )
    full_text: str = _setting(
        "AllergyIntolerance,CarePlan,ClinicalImpression,Communication,Composition,Condition,"
        "DiagnosticReport,DocumentReference,FamilyMemberHistory,Flag,Goal,Procedure",
        "Resource types, divided by commas (* for all), whose words are kept for `_text` and "
        "`_content`; after a change run `ehr-server reindex`.",
    )
    time_zone: str = _setting("Asia/Ho_Chi_Minh", "Time zone of dates and times without one.")
    language: Literal["en", "vi"] = _setting(
        "en", "Language of messages when the client asks for neither English nor Vietnamese."
    )
    body_bytes_max: int = _setting(64 * 1024 * 1024, "Largest request body, in bytes.", least=1024)
    binary_bytes_max: int = _setting(
        2**31 - 1, "Largest content of a Binary, in bytes.", least=1024, most=2**31 - 1
    )
    binary_inline_bytes_max: int = _setting(
        65_536,
        "Largest content of a Binary that is kept in its resource, in bytes; what is larger lies "
        "beside it.",
        least=0,
        most=1_048_576,
    )
    bundle_entries_max: int = _setting(10_000, "Most entries of one Bundle.", least=1)
    nesting_max: int = _setting(100, "Deepest nesting of a resource.", least=10, most=190)
    count_default: int = _setting(50, "Results on a page without `_count`.", least=1)
    count_max: int = _setting(1_000, "Most results on a page.", least=1)
    rate_per_client: int | None = _setting(
        None,
        "Requests a second that one client may make of all server processes together, on average; "
        "more are slowed, and from half a second on answered 429. 0 sets no limit; by default "
        "it is 200 where the server asks who calls.",
        least=0,
        most=1_000_000,
    )
    burst_per_client: int = _setting(
        0,
        "Requests that one client may make at once before its rate counts; 0 takes those of one "
        "second.",
        least=0,
        most=1_000_000,
    )
    concurrent_per_client: int | None = _setting(
        None,
        "Requests of one client that may be under way in one server process; more are answered "
        "429. 0 sets no limit; by default it is 32 where the server asks who calls.",
        least=0,
        most=10_000,
    )
    trusted_proxies: str = _setting(
        "",
        "Addresses and networks, divided by commas, of the proxies whose word is taken for who "
        "calls and by which address, such as 127.0.0.1,10.0.0.0/8; none unless they are named.",
    )
    forwarded_header: Literal["x-forwarded", "forwarded"] = _setting(
        "x-forwarded",
        "Which headers the trusted proxies set: X-Forwarded-For, -Proto and -Host, or Forwarded of "
        "RFC 7239. The other is ignored, since a client may have sent it.",
    )
    tls_certificate: Path | None = _setting(  # noqa: RUF009
        None, "PEM file of the certificate, and those between it and its root, to serve HTTPS by."
    )
    tls_key: Path | None = _setting(None, "PEM file of the key of the certificate.")  # noqa: RUF009
    metrics_readers: str = _setting(
        "",
        "Addresses and networks, divided by commas, that may read /metrics and how the server is, "
        "beside this machine itself; * for all.",
    )
    no_metrics: bool = _setting(False, "Do not count what is done, nor show it at /metrics.")
    cors_origins: str = _setting(
        "",
        "Origins, divided by commas, whose pages may call this server from a browser, such as "
        "https://app.example.vn; * for all.",
    )
    auth: Literal["open", "required"] = _setting(
        "open",
        "Whether everyone may call, which is possible on loopback addresses alone, or a token is "
        "asked for.",
    )
    auth_issuers: Path | None = _setting(  # noqa: RUF009
        None, "File (JSON) of the OpenID providers whose tokens are taken, beside our own."
    )
    auth_token_s: int = _setting(
        300, "Seconds that a token of our own token endpoint is good for.", least=30, most=3_600
    )
    auth_skew_s: int = _setting(
        30,
        "Seconds that the clock of who issues a token may be apart from ours.",
        most=300,
        least=0,
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least important messages to log."
    )

    def as_texts(self) -> dict[str, str | None]:
        """All of them by name, for a process of our own; `settings_of` reads them."""
        values = ((row.name, getattr(self, row.name)) for row in TABLE)
        return {name: None if value is None else str(value) for name, value in values}

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of dates without one."""
        return ZoneInfo(self.time_zone)

    @property
    def public_url(self) -> str:
        """The address of the FHIR base for everybody, without a slash at the end, or ""."""
        return (self.base_url or "").rstrip("/")

    @property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may call this server."""
        return frozenset(filter(None, (one.strip() for one in self.cors_origins.split(","))))

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of the proxies whose word is taken."""
        return _networks(self.trusted_proxies)

    @property
    def readers(self) -> tuple[Network, ...]:
        """The networks that may read /metrics, beside this machine."""
        return _networks(self.metrics_readers.replace("*", "0.0.0.0/0,::/0"))

    @property
    def import_sources(self) -> frozenset[str]:
        """The origins that files to import may be fetched from."""
        return frozenset(filter(None, (one.strip() for one in self.import_origins.split(","))))

    @property
    def import_path(self) -> Path:
        """The folder of what comes in to be imported, and of the reports."""
        return self.data_dir / "import"

    @property
    def import_processes(self) -> int:
        """How many processes an import runs in."""
        return self.import_workers or _processors()

    @property
    def export_path(self) -> Path:
        """The folder that exports are written to."""
        return self.export_dir or self.data_dir / "export"


def _row(name: str, hint: Any, default: Any, facts: Mapping[str, Any]) -> Setting:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
    is_choice = get_origin(hint) is Literal
    return Setting(
        name=name,
        kind=str if is_choice else kinds[0],
        choices=get_args(hint) if is_choice else (),
        is_optional=type(None) in get_args(hint),
        default=default,
        **facts,
    )


_HINTS = get_type_hints(Settings)
TABLE = tuple(_row(f.name, _HINTS[f.name], f.default, f.metadata) for f in fields(Settings))


def read_settings(
    options: Mapping[str, object] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    env_file: Path = Path(".env"),
) -> Settings:
    """The settings in force: `options` by name (None = not given), environment, file, defaults.

    Raises SettingError when a value does not fit. A variable `EHR_...` that is no setting is
    logged, because it is most likely misspelt.
    """
    environment = os.environ if environment is None else environment
    variables = {**dotenv_values(env_file), **environment}
    _report_unknown(variables)
    values: dict[str, Any] = {}
    for row in TABLE:
        given = (options or {}).get(row.name)
        if given is None:
            given = row.given(variables)
        if given is not None:
            values[row.name] = row.read(given)
    values["workers"] = values.get("workers") or _processors()
    values["processes"] = values.get("processes") or _processors() + 1
    settings = Settings(**values)
    _check(settings)
    return settings


def settings_of(texts: Mapping[str, str | None]) -> Settings:
    """The settings that `as_texts` wrote."""
    return Settings(
        **{row.name: row.read(texts[row.name]) for row in TABLE if texts[row.name] is not None}
    )


def unknown_variables(env_file: Path = Path(".env")) -> list[str]:
    """The variables `EHR_...` that are no settings, most likely misspelt."""
    return _unknown({**dotenv_values(env_file), **os.environ})


def share_counts(folder: Path) -> None:
    """Let the processes that are started from now on count together, in files of the folder."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # where prometheus-client looks


def counts_folder() -> Path | None:
    """Where the processes of this server count together; None if it has but one."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


def _check(settings: Settings) -> None:
    try:
        _ = settings.zone
    except (KeyError, ValueError, OSError):
        raise SettingError(
            f"--time-zone (EHR_TIME_ZONE) takes a name such as Asia/Ho_Chi_Minh, "
            f"not {settings.time_zone!r}"
        ) from None
    for origin in settings.import_sources:
        if not _ORIGIN.fullmatch(origin) or not origin.startswith(("http://", "https://")):
            raise SettingError(
                f"--import-origins (EHR_IMPORT_ORIGINS) takes origins such as "
                f"https://his.example.vn, without a path and in lower case, not {origin!r}"
            )
    for origin in settings.origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingError(
                f"--cors-origins (EHR_CORS_ORIGINS) takes origins as browsers send them, such as "
                f"https://app.example.vn, without a path and in lower case, not {origin!r}"
            )
    if (settings.database_url or "").partition("?")[0].count("@") > 1:
        raise SettingError(  # what follows the first would be taken, and told, as the host
            "--database-url (EHR_DATABASE_URL) has more than one @: write that of the password as "
            "%40, and / as %2F"
        )
    for option in ("trusted_proxies", "metrics_readers"):
        _check_networks(option, getattr(settings, option))
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingError("--tls-certificate and --tls-key are set together, or neither is")
    if settings.signatures != "off" and settings.signature_keys_dir is None:
        raise SettingError("--signatures needs --signature-keys-dir (EHR_SIGNATURE_KEYS_DIR)")
    if settings.count_default > settings.count_max:
        raise SettingError("--count-default is larger than --count-max")


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def _check_networks(name: str, text: str) -> None:
    try:
        _networks(text if name == "trusted_proxies" else text.replace("*", ""))
    except ValueError as error:
        option = "--" + name.replace("_", "-")
        raise SettingError(
            f"{option} ({PREFIX}{name.upper()}) takes addresses and networks such as "
            f"10.0.0.0/8,::1: {error}"
        ) from None


def _report_unknown(variables: Mapping[str, object]) -> None:
    for name in _unknown(variables):
        log.warning("%s is not a setting of this server", name)


def _unknown(variables: Mapping[str, object]) -> list[str]:
    known = {name for row in TABLE for name in row.variables}
    ours = (name for name in variables if name.startswith(PREFIX) and name not in known)
    return sorted(name for name in ours if not name.startswith(_TESTS))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
