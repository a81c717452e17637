"""Objects in an S3 bucket. The library for it is not among those of hacore: who runs tests on S3 brings it (``botocore``)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.exceptions
import botocore.session
from botocore.config import Config

from hacore.testing.walg.settings import Settings, WalgError, flag, whole

_MISSING: Final = frozenset({"NoSuchKey", "404"})
_AT_ONCE: Final = 1000  # objects that S3 removes in one request


class S3Storage:
    """Objects of a bucket whose keys begin with a path."""

    def __init__(self, settings: Settings) -> None:
        self._bucket, _, path = settings["WALG_S3_PREFIX"].removeprefix("s3://").partition("/")
        self._path = f"{path.strip('/')}/" if path.strip("/") else ""
        style = "path" if flag(settings, "AWS_S3_FORCE_PATH_STYLE") else "auto"
        retries = {"max_attempts": whole(settings, "S3_MAX_RETRIES", 15), "mode": "standard"}
        self._client: Any = botocore.session.Session().create_client(
            "s3",
            region_name=settings.get("AWS_REGION") or "us-east-1",
            endpoint_url=settings.get("AWS_ENDPOINT"),
            aws_access_key_id=settings.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=settings.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=settings.get("AWS_SESSION_TOKEN"),
            verify=settings.get("WALG_S3_CA_CERT_FILE"),
            config=Config(s3={"addressing_style": style}, retries=retries),
        )

    def names(self, start: str) -> list[str]:
        """Return the names of all objects that begin like this."""
        with self._said():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._path + start)
            return sorted(one["Key"].removeprefix(self._path) for page in pages for one in page.get("Contents", ()))

    def read(self, name: str) -> bytes | None:
        """Return what an object has in it."""
        with self._said():
            try:
                content: bytes = self._client.get_object(Bucket=self._bucket, Key=self._path + name)["Body"].read()
            except botocore.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
            return content

    def write(self, name: str, content: bytes) -> None:
        """Make an object."""
        with self._said():
            self._client.put_object(Bucket=self._bucket, Key=self._path + name, Body=content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""
        keys = [{"Key": self._path + name} for name in names]
        with self._said():
            for first in range(0, len(keys), _AT_ONCE):
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys[first : first + _AT_ONCE], "Quiet": True})

    def find(self, name: str, endings: Iterable[str]) -> str | None:
        """Return the first of these endings with which there is an object."""
        found = set(self.names(name))
        return next((ending for ending in endings if f"{name}{ending}" in found), None)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Turn what the library raises into our own."""
        try:
            yield
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise WalgError(f"s3://{self._bucket}/{self._path}: {error}") from error
