"""The settings: one table, four places, clear refusals."""

import pickle
from pathlib import Path

import pytest

from ehr_server.setting import SettingError
from ehr_server.settings import TABLE, Settings, read_settings


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("EHR_HOST=file\nEHR_PORT=1\nEHR_LANGUAGE=vi\n")
    environment = {"EHR_HOST": "environment", "EHR_PORT": "2"}
    settings = read_settings(
        {"host": "option", "port": None}, environment=environment, env_file=env_file
    )
    assert (settings.host, settings.port, settings.language) == ("option", 2, "vi")
    assert settings.count_default == 50


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("EHR_NO_WORKER", "yes", True),
        ("EHR_NO_WORKER", "0", False),
        ("EHR_DATA_DIR", "/srv/ehr", Path("/srv/ehr")),
        ("EHR_DATABASE_URL", "", None),
        ("EHR_REFERENCES", "accept", "accept"),
        ("EHR_WORKERS", "3", 3),
    ],
)
def test_a_text_becomes_a_value(name: str, text: str, value: object, tmp_path: Path) -> None:
    settings = read_settings(environment={name: text}, env_file=tmp_path / ".env")
    assert getattr(settings, name.removeprefix("EHR_").lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("EHR_PORT", "http", r"--port \(EHR_PORT\) takes a whole number, at least 0.* not 'http'"),
        ("EHR_PORT", "70000", "at most 65535"),
        ("EHR_REFERENCES", "maybe", "takes one of check, accept, not 'maybe'"),
        ("EHR_NO_WORKER", "perhaps", "takes yes or no"),
        ("EHR_TIME_ZONE", "Asia/Saigonn", r"EHR_TIME_ZONE\) takes a name .* not 'Asia/Saigonn'"),
        ("EHR_TIME_ZONE", "../etc/passwd", "EHR_TIME_ZONE"),
        ("EHR_CORS_ORIGINS", "https://app.example.vn/", "--cors-origins"),
        ("EHR_CORS_ORIGINS", "https://a.example.vn,app.example.vn", "'app.example.vn'"),
        ("EHR_CORS_ORIGINS", "https://a.example.vn\nX: y", "--cors-origins"),
        ("EHR_TRUSTED_PROXIES", "10.0.0.1/8", r"--trusted-proxies .* has host bits set"),
        ("EHR_TRUSTED_PROXIES", "*", "--trusted-proxies"),
        ("EHR_METRICS_READERS", "127.0.0.1,prometheus", "--metrics-readers .*'prometheus'"),
        ("EHR_TLS_KEY", "key.pem", "--tls-certificate and --tls-key are set together"),
        ("EHR_COUNT_DEFAULT", "2000", "larger than --count-max"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=message):
        read_settings(environment={name: text}, env_file=tmp_path / ".env")


def test_a_misspelt_variable_is_reported(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    environment = {"EHR_PROT": "1", "EHR_TEST_DATABASE_URL": "x"}
    read_settings(environment=environment, env_file=tmp_path / ".env")
    assert [record.getMessage() for record in caplog.records] == [
        "EHR_PROT is not a setting of this server"
    ]


def test_the_password_of_the_database_is_not_shown() -> None:
    assert "secret" not in repr(Settings(database_url="postgresql://user:secret@host/ehr"))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_lie_in_a_file_of_its_own(end: str, tmp_path: Path) -> None:
    """As Docker and Kubernetes mount secrets; editors end a file with a line break."""
    secret, env_file = tmp_path / "url", tmp_path / ".env"
    secret.write_bytes(f"postgresql://user:pass word@host/ehr{end}".encode())
    given = {"EHR_DATABASE_URL_FILE": str(secret)}
    env_file.write_text(f"EHR_DATABASE_URL_FILE={secret}\n")
    for settings in (
        read_settings(environment=given, env_file=tmp_path / "none"),
        read_settings(environment={}, env_file=env_file),
    ):
        assert settings.database_url == "postgresql://user:pass word@host/ehr"
    option = {"database_url": "postgresql:///other"}
    assert read_settings(option, environment=given).database_url == "postgresql:///other"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("EHR_DATABASE_URL", b"postgresql:///x", "EHR_DATABASE_URL_FILE are both given"),
        ("EHR_HOST", None, r"EHR_DATABASE_URL_FILE: .* cannot be read: No such file"),
        ("EHR_HOST", b"\xff", r"cannot be read: it is not UTF-8"),
        ("EHR_HOST", b"\n", r"EHR_DATABASE_URL_FILE: .* is empty"),  # no other database is meant
    ],
)
def test_a_file_of_a_secret_that_is_wrong_is_refused(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    if content is not None:
        secret.write_bytes(content)
    given = {"EHR_DATABASE_URL_FILE": str(secret), name: "postgresql://user:word@host/ehr"}
    with pytest.raises(SettingError, match=message) as refused:
        read_settings(environment=given, env_file=tmp_path / ".env")
    assert "word" not in str(refused.value)


def test_only_what_is_a_secret_may_lie_in_a_file(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    environment = {"EHR_PORT_FILE": "/run/secrets/port", "EHR_DATABASE_URL_FILE": ""}
    with pytest.raises(SettingError, match="EHR_DATABASE_URL_FILE"):
        read_settings(environment=environment, env_file=tmp_path / ".env")
    assert "EHR_PORT_FILE is not a setting" in caplog.text


def test_one_server_process_per_processor_by_default(tmp_path: Path) -> None:
    assert read_settings(environment={}, env_file=tmp_path / ".env").workers >= 1


def test_other_processes_get_the_same_settings() -> None:
    settings = Settings(port=81, no_worker=True, workers=2, export_dir=Path("/srv/files"))
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_every_setting_says_what_it_is() -> None:
    assert [row.name for row in TABLE if not row.help.endswith(".") or len(row.help) < 10] == []
    assert {row.option for row in TABLE} >= {
        *("--host", "--port", "--data-dir", "--database-url", "--workers", "--no-worker"),
    }
