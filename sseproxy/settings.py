"""Settings: from the command line, else from the environment (`SSEPROXY_...`), else from a TOML file, else as below."""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

CONFIG_VARIABLE = "SSEPROXY_CONFIG"


class Settings(BaseSettings):
    """Everything that can be set. Each field is `SSEPROXY_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SSEPROXY_", extra="forbid", frozen=True)

    data: Path = Field(default=Path("data"), description="the folder of everything that is kept")
    listen: str = Field(default="127.0.0.1:9000", description="HOST:PORT of the S3, KMS and STS endpoint")
    admin_listen: str = Field(default="", description="HOST:PORT of /metrics; empty: none")
    workers: int = Field(default=1, ge=1, le=64, description="processes")
    bootstrap: Path | None = Field(
        default=None, description="a file of accounts, users, keys and buckets, applied at start"
    )
    tls_cert: Path | None = Field(default=None, description="certificate chain, PEM")
    tls_key: Path | None = Field(default=None, description="private key, PEM")
    backend: Literal["filesystem", "s3"] = Field(default="filesystem", description="where ciphertext rests")
    backend_endpoint: str = Field(default="", description="URL of the S3 server, scheme, host and port")
    backend_region: str = Field(default="us-east-1", description="region that requests to it are signed for")
    backend_access_key_id: str = Field(default="", description="access key at the S3 server; else the AWS chain")
    backend_secret_access_key: SecretStr = Field(default=SecretStr(""), description="its secret")
    backend_bucket_prefix: str = Field(default="", description="goes before every bucket's name at the S3 server")
    backend_scratch_bucket: str = Field(default="ssep-scratch", description="bucket there for parts that wait")
    base_domains: str = Field(
        default="", description="domains under which BUCKET.DOMAIN names a bucket, separated by commas"
    )
    account_id: str = Field(default="", description="id of the first account; drawn by lot if empty")
    root_access_key_id: str = Field(
        default="", description="access key of the first account's root user; made if empty"
    )
    root_secret_access_key: SecretStr = Field(default=SecretStr(""), description="its secret; made if empty")
    root_key: SecretStr = Field(
        default=SecretStr(""), description="the root key, 32 bytes as hex or base64; else a file"
    )
    default_encryption: Literal["AES256", "aws:kms"] = Field(
        default="AES256", description="for buckets without a setting"
    )
    default_key: str | None = Field(
        default=None, description="KMS key for default_encryption = aws:kms; else alias/aws/s3"
    )
    audit_sync: Literal["second", "always"] = Field(default="second", description="when an audit event is on the disk")
    idle_timeout: float = Field(default=60.0, gt=0, description="seconds that a client may be silent within a request")
    shutdown_timeout: int = Field(default=30, gt=0, description="seconds that requests in flight have to end")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least severity logged")

    @field_validator("listen", "admin_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            address(value)
        return value

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if (self.backend == "s3") != bool(self.backend_endpoint):
            raise ValueError("backend = s3 and backend_endpoint go together")
        if bool(self.backend_access_key_id) != bool(self.backend_secret_access_key.get_secret_value()):
            raise ValueError("backend_access_key_id and backend_secret_access_key go together")
        if self.default_key is not None and self.default_encryption != "aws:kms":
            raise ValueError("default_key goes with default_encryption = aws:kms")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, TOML file."""
        toml = TomlConfigSettingsSource(settings_cls, os.environ.get(CONFIG_VARIABLE))
        return init_settings, env_settings, toml

    @property
    def domains(self) -> tuple[str, ...]:
        """The base domains, one by one."""
        return tuple(name.strip().lower().strip(".") for name in self.base_domains.split(",") if name.strip())


def address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[HOST]:PORT` as a pair. ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return host.strip("[]"), int(port)


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables: how worker processes get them."""
    found: dict[str, str] = {}
    for name in type(settings).model_fields:
        value: Any = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is not None:
            found[f"SSEPROXY_{name.upper()}"] = str(value)
    return found
