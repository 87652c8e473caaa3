import hashlib
import hmac
import multiprocessing
import os
import pickle
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.errors import BadConfiguration
from services.seal import new_identity
from services.settings import Settings
from services.state_folder import private_folder

SECRET = "not-for-your-eyes"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("VIGIE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def set_store(monkeypatch: pytest.MonkeyPatch, url: str = "https://s3.example.org") -> None:
    monkeypatch.setenv("VIGIE_S3_ENDPOINT", url)
    monkeypatch.setenv("VIGIE_S3_ACCESS_KEY", "town")
    monkeypatch.setenv("VIGIE_S3_SECRET_KEY", SECRET)


def test_defaults_follow_the_state_folder(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.state_dir == tmp_path / "vigie"
    assert settings.catalog_url == f"sqlite:///{tmp_path}/vigie/catalog.sqlite"
    assert (settings.s3_prefix, settings.workers, settings.precision) == ("vigie", None, "int8")


def test_a_relative_xdg_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Settings().state_dir == tmp_path / ".local/state/vigie"


def test_the_environment_names_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    set_store(monkeypatch, "https://s3.example.org/")
    monkeypatch.setenv("VIGIE_S3_REGION", "gra")
    endpoint = Settings().endpoint
    assert endpoint.url == "https://s3.example.org"
    assert (endpoint.access_key, endpoint.region, endpoint.folder) == ("town", "gra", None)
    assert endpoint.secret_key == SecretStr(SECRET)


def test_without_any_store_the_message_says_what_to_do() -> None:
    with pytest.raises(BadConfiguration, match="run `vigie up` or set VIGIE_S3_ENDPOINT"):
        _ = Settings().endpoint


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    record = tmp_path / "vigie" / "store.json"
    record.parent.mkdir()
    record.write_text(f'{{"secret_key": "{SECRET}"}}')
    with pytest.raises(BadConfiguration) as caught:
        _ = Settings().endpoint
    assert str(record) in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("missing", ["ENDPOINT", "ACCESS_KEY", "SECRET_KEY"])
@pytest.mark.parametrize("empty", [False, True])
def test_a_half_set_store_is_refused(
    monkeypatch: pytest.MonkeyPatch, missing: str, empty: bool
) -> None:
    set_store(monkeypatch)
    if empty:
        monkeypatch.setenv(f"VIGIE_S3_{missing}", "")
    else:
        monkeypatch.delenv(f"VIGIE_S3_{missing}")
    with pytest.raises(BadConfiguration, match=f"set VIGIE_S3_{missing} too"):
        Settings()


@pytest.mark.parametrize(
    "url",
    ["s3.example.org", "ftp://h", "https://", "https://h/path", "https://u:p@h", "http://h:port"],
)
def test_a_bad_endpoint_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    set_store(monkeypatch, url)
    with pytest.raises(BadConfiguration, match="VIGIE_S3_ENDPOINT"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKERS", SECRET),
        ("WORKERS", "0"),
        ("PRECISION", SECRET),
        ("S3_PREFIX", f"_{SECRET}"),
        ("SECRET", SECRET),  # too short
        ("IMAGE_TIMEOUT_S", "0"),
        ("QUARANTINE_RECIPIENT", SECRET),
    ],
)
def test_a_wrong_value_names_the_variable_and_hides_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    set_store(monkeypatch)
    monkeypatch.setenv(f"VIGIE_{name}", value)
    with pytest.raises(BadConfiguration, match=f"VIGIE_{name}") as caught:
        Settings()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    set_store(monkeypatch)
    monkeypatch.setenv("VIGIE_CATALOG_URL", f"postgresql://vigie:{SECRET}@db/vigie")
    settings = Settings()
    assert SECRET not in repr(settings) + str(settings)
    assert SECRET not in repr(settings.endpoint) + settings.endpoint.model_dump_json()


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


def test_a_folder_open_to_others_is_refused_untouched(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    with pytest.raises(BadConfiguration, match="chmod 700"):
        private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o750


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfiguration, match="VIGIE_STATE_DIR"):
        private_folder(tmp_path / "file" / "state")


def test_keys_depend_on_the_secret_and_on_what_they_are_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIGIE_SECRET", "0123456789abcdef" * 2)
    key = Settings().key("audit")
    assert key == hmac.new(b"0123456789abcdef" * 2, b"audit", hashlib.sha256).digest()
    assert key != Settings().key("noise")
    monkeypatch.setenv("VIGIE_SECRET", "0123456789abcdeg" * 2)
    assert key != Settings().key("audit")
    assert not (tmp_path / "vigie").exists()  # nothing is drawn where one is set


def test_a_secret_is_drawn_once_and_only_when_needed(tmp_path: Path) -> None:
    assert not Settings().has_secret
    assert not (tmp_path / "vigie").exists()
    key = Settings().key("audit")
    assert Settings().has_secret
    assert Settings().key("audit") == key
    file = tmp_path / "vigie" / "secret"
    assert len(bytes.fromhex(file.read_text())) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]  # no draft is left behind


def test_the_secret_travels_to_workers_and_is_not_shown(tmp_path: Path) -> None:
    sent = Settings().with_secret()
    key = sent.key("audit")
    drawn = (tmp_path / "vigie" / "secret").read_text()
    assert drawn not in repr(sent) + str(sent)
    (tmp_path / "vigie" / "secret").unlink()  # as on another machine
    assert pickle.loads(pickle.dumps(sent)).key("audit") == key


def _key_of(state_dir: Path) -> bytes:
    return Settings(state_dir=state_dir).key("audit")


def test_processes_that_race_agree_on_the_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        for attempt in range(20):
            keys = pool.map(_key_of, [tmp_path / str(attempt)] * 4, chunksize=1)
            assert len(set(keys)) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64])
def test_a_damaged_secret_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    file = private_folder(tmp_path / "vigie") / "secret"
    file.write_bytes(content)
    with pytest.raises(BadConfiguration, match="VIGIE_SECRET") as caught:
        Settings().key("audit")
    assert str(file) in str(caught.value)
    assert file.read_bytes() == content


def test_the_operator_is_the_account_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert Settings().operator == "unknown"
    monkeypatch.setattr("getpass.getuser", lambda: "vigie")
    assert Settings().operator == "vigie"
    monkeypatch.setenv("VIGIE_OPERATOR", "a.martin")
    assert Settings().operator == "a.martin"


def test_a_quarantine_recipient_is_checked_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipient = new_identity(tmp_path / "admin.key")
    monkeypatch.setenv("VIGIE_QUARANTINE_RECIPIENT", recipient)
    assert Settings().quarantine_recipient == recipient
    private = (tmp_path / "admin.key").read_text().splitlines()[-1]
    monkeypatch.setenv("VIGIE_QUARANTINE_RECIPIENT", private)
    with pytest.raises(BadConfiguration, match="public key") as caught:
        Settings()
    assert private not in "".join(traceback.format_exception(caught.value))
