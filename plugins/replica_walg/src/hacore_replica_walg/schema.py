"""The schema of the section ``plugins: {walg: ...}``."""

from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validates_schema

from hacore import convert
from hacore.schema import Converted, Secret, SectionSchema
from hacore_replica_walg.settings import PREFIXES, WalgSettings

_SECRETS: Final = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN",
    "OS_APPLICATION_CREDENTIAL_SECRET", "OS_PASSWORD", "PGPASSWORD", "SSH_PASSWORD", "WALG_GS_CUSTOMER_ENCRYPTION_KEY",
    "WALG_LIBSODIUM_KEY", "WALG_PGP_KEY", "WALG_PGP_KEY_PASSPHRASE",
)  # fmt: skip
_PLAIN: Final = (
    *PREFIXES,
    # S3
    "AWS_CONFIG_FILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT", "AWS_PROFILE", "AWS_REGION", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
    "AWS_S3_FORCE_PATH_STYLE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "S3_ENDPOINT_PORT", "S3_ENDPOINT_SOURCE",
    "S3_LOG_LEVEL", "S3_MAX_PART_SIZE", "S3_MAX_RETRIES", "S3_RANGE_BATCH_ENABLED", "S3_RANGE_MAX_RETRIES", "S3_RETENTION_MODE",
    "S3_RETENTION_PERIOD", "S3_SSE", "S3_SSE_KMS_ID", "S3_STORAGE_CLASS", "S3_USE_LIST_OBJECTS_V1", "S3_USE_YC_SESSION_TOKEN",
    "WALG_S3_CA_CERT_FILE", "WALG_S3_SSE",
    # other storages
    "AZURE_BUFFER_SIZE", "AZURE_ENDPOINT_SUFFIX", "AZURE_ENVIRONMENT_NAME", "AZURE_MAX_BUFFERS", "AZURE_STORAGE_ACCOUNT",
    "GCS_CONTEXT_TIMEOUT", "GCS_MAX_CHUNK_SIZE", "GCS_MAX_RETRIES", "GCS_NORMALIZE_PREFIX", "GOOGLE_APPLICATION_CREDENTIALS", "OS_AUTH_URL",
    "OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME", "OS_PROJECT_DOMAIN_NAME", "OS_PROJECT_NAME", "OS_REGION_NAME",
    "OS_TENANT_NAME", "OS_USERNAME", "OS_USER_DOMAIN_NAME", "SSH_PORT", "SSH_PRIVATE_KEY_PATH", "SSH_USERNAME",
    # compression and encryption
    "WALG_COMPRESSION_METHOD", "WALG_LIBSODIUM_KEY_PATH", "WALG_LIBSODIUM_KEY_TRANSFORM", "WALG_PGP_KEY_PATH",
    "WALG_CSE_KMS_ID", "WALG_CSE_KMS_REGION",
    "YC_CSE_KMS_KEY_ID", "YC_CSE_KMS_KEY_RING", "YC_SERVICE_ACCOUNT_KEY_FILE",
    # parallel work, limits, retries
    "TOTAL_BG_UPLOADED_LIMIT", "WALG_DISK_RATE_LIMIT", "WALG_DOWNLOAD_CONCURRENCY", "WALG_DOWNLOAD_FILE_RETRIES", "WALG_NETWORK_RATE_LIMIT",
    "WALG_TAR_DISABLE_FSYNC", "WALG_TAR_SIZE_THRESHOLD", "WALG_UPLOAD_CONCURRENCY", "WALG_UPLOAD_DISK_CONCURRENCY", "WALG_UPLOAD_QUEUE",
    # deltas and the rest
    "WALG_ALIVE_CHECK_INTERVAL", "WALG_DELTA_MAX_STEPS", "WALG_DELTA_ORIGIN", "WALG_FAILOVER_STORAGES", "WALG_INTEGRITY_MAX_DELAYED_WALS",
    "WALG_LOG_LEVEL", "WALG_PG_WAL_SIZE", "WALG_SKIP_REDUNDANT_TARS", "WALG_STOP_BACKUP_TIMEOUT", "WALG_STORE_ALL_CORRUPT_BLOCKS",
    "WALG_UPLOAD_WAL_METADATA", "WALG_USE_COPY_COMPOSER", "WALG_USE_RATING_COMPOSER", "WALG_USE_REVERSE_UNPACK",
    "WALG_USE_WAL_DELTA", "WALG_VERIFY_PAGE_CHECKSUMS",
)  # fmt: skip


def value(found: object) -> str:
    """The value of a variable, a boolean as WAL-G spells it."""
    return str(found).lower() if isinstance(found, bool) else convert.setting(found)


EnvironmentSchema = SectionSchema.from_dict(
    {name: Secret() for name in _SECRETS} | {name: Converted(value) for name in _PLAIN}, name="EnvironmentSchema"
)


class WalgSchema(SectionSchema):
    """``walg: {environment: {WALG_FILE_PREFIX: /backup/demo}}``."""

    binary = Converted(convert.word, load_default="wal-g")
    config_file = Converted(convert.word, load_default=None)
    envdir = Converted(convert.word, load_default=None)
    environment = fields.Nested(EnvironmentSchema, load_default=dict)
    threshold_megabytes = Converted(convert.whole(0), load_default=10240)
    threshold_backup_size_percentage = Converted(convert.whole(0), load_default=30)
    prefetch_dir = Converted(convert.word, load_default=None)
    push_timeout = Converted(convert.seconds, load_default=300.0)
    fetch_timeout = Converted(convert.seconds, load_default=300.0)
    query_timeout = Converted(convert.seconds, load_default=8.0)

    @validates_schema
    def names_one_storage(self, data: dict[str, Any], **_: object) -> None:
        """Refuse a section that names several storages, or none where it alone can."""
        named = [name for name in PREFIXES if data["environment"].get(name)]
        if len(named) > 1:
            raise ValidationError(f"one storage, not {' and '.join(named)}", "environment")
        if not named and not data["config_file"] and not data["envdir"]:
            raise ValidationError(f"a storage: one of {', '.join(PREFIXES)}; or config_file or envdir", "environment")

    @validates_schema
    def limits_calls(self, data: dict[str, Any], **_: object) -> None:
        """Refuse times of nothing, and questions that last longer than a hook may."""
        for name in ("push_timeout", "fetch_timeout", "query_timeout"):
            if data[name] <= 0:
                raise ValidationError("more than 0", name)
        if data["query_timeout"] > 9:  # noqa: PLR2004 - the core waits for 10
            raise ValidationError("9 s or less: the core waits for 10", "query_timeout")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> WalgSettings:
        """Return the settings."""
        times = {f"{name}_s": data.pop(name) for name in ("push_timeout", "fetch_timeout", "query_timeout")}
        return WalgSettings(environment=tuple(sorted(data.pop("environment").items())), **times, **data)
