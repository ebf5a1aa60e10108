"""Settings: which source wins, and what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sseproxy.settings import CONFIG_VARIABLE, Settings, address, as_environment


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SSEPROXY_{name.upper()}", raising=False)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)


def test_the_command_line_beats_the_environment_and_that_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sseproxy.toml"
    file.write_text('listen = "127.0.0.1:1"\nadmin_listen = "127.0.0.1:2"\nworkers = 3\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setenv("SSEPROXY_ADMIN_LISTEN", "127.0.0.1:20")
    monkeypatch.setenv("SSEPROXY_WORKERS", "30")
    settings = Settings(workers=4)
    assert (settings.listen, settings.admin_listen, settings.workers) == ("127.0.0.1:1", "127.0.0.1:20", 4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": "no port"},
        {"listen": "127.0.0.1:99999"},
        {"workers": 0},
        {"tls_cert": "cert.pem"},
        {"default_key": "alias/app"},
        {"default_encryption": "none"},
        {"unheard_of": 1},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_worker_process_reads_back_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        workers=2,
        listen="[::1]:9000",
        base_domains="s3.example.com, .x.test",
        root_secret_access_key="a secret of the tests",  # type: ignore[arg-type]
    )
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert settings.domains == ("s3.example.com", "x.test")


def test_secrets_do_not_show_in_the_settings_repr() -> None:
    shown = repr(Settings(root_key="00" * 32, root_secret_access_key="very secret"))  # type: ignore[arg-type]
    assert "very secret" not in shown
    assert "00" * 32 not in shown


@pytest.mark.parametrize(("text", "pair"), [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:0", ("::1", 0))])  # noqa: S104
def test_an_address_is_a_host_and_a_port(text: str, pair: tuple[str, int]) -> None:
    assert address(text) == pair
