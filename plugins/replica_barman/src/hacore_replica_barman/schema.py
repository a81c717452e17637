"""The schema of the section ``plugins: {barman: ...}``."""

import re
import shlex
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.schema import Converted, Secret, SectionSchema
from hacore_replica_barman.settings import BarmanSettings, CloudSettings

_HOME: Final = "/var/lib/barman"  # Barman's own default
_TIMES: Final = ("push_timeout", "fetch_timeout", "query_timeout")
_LONGEST_QUERY_S: Final = 9  # the core waits for 10


def _name(value: object) -> str:
    """What may be a word of any command line: not an option, no white space."""
    found = convert.word(value)
    if found.startswith("-") or re.search(r"\s", found):
        raise convert.WrongValueError("a name without white space that does not begin with a dash")
    return found


def _words(value: object) -> tuple[str, ...]:
    """A command line as text, or its words."""
    if isinstance(value, list):
        return tuple(map(convert.word, value))
    try:
        return tuple(shlex.split(convert.word(value)))
    except ValueError as error:
        raise convert.WrongValueError("a command line, or the list of its words") from error


def _directory(value: object) -> str:
    found = convert.word(value)
    if not found.startswith("/"):
        raise convert.WrongValueError("an absolute path")
    return found.rstrip("/") or "/"


_SECRETS: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET",
)  # fmt: skip
_PLAIN: Final = (
    "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_REGION", "AWS_ROLE_ARN", "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "GOOGLE_APPLICATION_CREDENTIALS",
)  # fmt: skip
CloudEnvironmentSchema = SectionSchema.from_dict(
    {name: Secret() for name in _SECRETS} | {name: Converted(convert.setting) for name in _PLAIN}, name="CloudEnvironmentSchema"
)


class CloudSchema(SectionSchema):
    """``cloud: {url: s3://backups/main}``."""

    url = Converted(_name, required=True)
    provider = Converted(convert.choice("aws-s3", "azure-blob-storage", "google-cloud-storage"), load_default="aws-s3")
    endpoint_url = Converted(_name, load_default=None)
    bin_dir = Converted(_directory, load_default=None)
    options = Converted(_words, load_default=())
    push_options = Converted(_words, load_default=())
    environment = fields.Nested(CloudEnvironmentSchema, load_default=dict)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> CloudSettings:
        """Return the settings."""
        return CloudSettings(environment=tuple(sorted(data.pop("environment").items())), **data)


class BarmanSchema(SectionSchema):
    """``barman: {server: main, host: backup.example}``."""

    server = Converted(_name, required=True)
    cloud = fields.Nested(CloudSchema, load_default=None)
    host = Converted(_name, load_default=None)
    user = Converted(_name, load_default="barman")
    port = Converted(convert.whole(1, 65535), load_default=None)
    ssh_dir = Converted(_directory, load_default=None)
    config = Converted(convert.word, load_default=None)
    program = Converted(_words, load_default=())
    backup_directory = Converted(_directory, load_default=None)
    wals_directory = Converted(_directory, load_default=None)
    recover_ssh_command = Converted(convert.word, load_default=None)
    copy_wal = Converted(convert.flag, load_default=False)
    slot = Converted(_name, load_default=None)
    threshold_megabytes = Converted(convert.whole(0), load_default=10240)
    threshold_backup_size_percentage = Converted(convert.whole(0), load_default=30)
    push_timeout = Converted(convert.seconds, load_default=300.0)
    fetch_timeout = Converted(convert.seconds, load_default=300.0)
    query_timeout = Converted(convert.seconds, load_default=8.0)

    @validates_schema
    def limits_calls(self, data: dict[str, Any], **_: object) -> None:
        """Refuse times of nothing, and questions that last longer than a hook may."""
        for name in _TIMES:
            if data[name] <= 0:
                raise ValidationError("more than 0", name)
        if data["query_timeout"] > _LONGEST_QUERY_S:
            raise ValidationError(f"{_LONGEST_QUERY_S} s or less: the core waits for 10", "query_timeout")

    @validates_schema
    def knows_how_files_come_back(self, data: dict[str, Any], **_: object) -> None:
        """Refuse an ssh to nowhere, and two ways at once."""
        if data["cloud"] is not None:
            named = [name for name in ("host", "config", "recover_ssh_command", "slot") if data[name] is not None]
            if named:
                raise ValidationError(f"either object storage or a server of Barman's, not both: {', '.join(named)}", "cloud")
        if data["host"] is None:
            named = [name for name in ("port", "ssh_dir") if data[name] is not None]
            if named:
                raise ValidationError(f"needs host: without one Barman is on this machine ({', '.join(named)})", "host")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> BarmanSettings:
        """Return the settings."""
        times = {f"{name}_s": data.pop(name) for name in _TIMES}
        data["backup_directory"] = data["backup_directory"] or f"{_HOME}/{data['server']}"
        data["wals_directory"] = data["wals_directory"] or f"{data['backup_directory']}/wals"
        data["copies_wal"] = data.pop("copy_wal")
        return BarmanSettings(**times, **data)
