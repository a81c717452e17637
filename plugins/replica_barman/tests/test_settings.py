"""The section ``barman``: what is right, and what is wrong with its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError

from hacore.hookspecs import ArchiveRequest, ReplicaRequest, Validate
from hacore.interfaces import Identity, Refusal
from hacore.testing.conformance.plugin import CONTEXT
from hacore_replica_barman.plugin import BarmanPlugin
from hacore_replica_barman.remote import Remote
from hacore_replica_barman.schema import BarmanSchema
from hacore_replica_barman.settings import BarmanSettings

REQUEST = ArchiveRequest(
    context=CONTEXT, identity=Identity(system_id="1", major_version=15, scope="kit"), data_dir="/data", socket_dir="/sockets"
)


def load(**section: object) -> BarmanSettings:
    found = BarmanSchema().load({"server": "main", **section})
    assert isinstance(found, BarmanSettings)
    return found


def test_a_server_and_a_host_are_enough() -> None:
    found = load(host="backup.example")
    assert (found.user, found.backup_directory, found.wals_directory) == ("barman", "/var/lib/barman/main", "/var/lib/barman/main/wals")
    assert load(backup_directory="/b/main/").wals_directory == "/b/main/wals"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"server": "two words"}, "server"),
        ({"server": "-x"}, "server"),
        ({"host": ""}, "host"),
        ({"host": "h", "user": "a b"}, "user"),
        ({"host": "h", "port": 70000}, "port"),
        ({"port": 22}, "host"),
        ({"ssh_dir": "/ssh"}, "host"),
        ({"host": "h", "ssh_dir": "relative"}, "ssh_dir"),
        ({"config": ""}, "config"),
        ({"program": {}}, "program"),
        ({"backup_directory": "x"}, "backup_directory"),
        ({"wals_directory": "x"}, "wals_directory"),
        ({"recover_ssh_command": ""}, "recover_ssh_command"),
        ({"copy_wal": "perhaps"}, "copy_wal"),
        ({"slot": ""}, "slot"),
        ({"cloud": {}}, "cloud"),
        ({"cloud": {"url": ""}}, "cloud"),
        ({"cloud": {"url": "s3://b", "provider": "tape"}}, "cloud"),
        ({"cloud": {"url": "s3://b", "endpoint_url": "a b"}}, "cloud"),
        ({"cloud": {"url": "s3://b", "bin_dir": "bin"}}, "cloud"),
        ({"cloud": {"url": "s3://b", "options": {}}}, "cloud"),
        ({"cloud": {"url": "s3://b", "push_options": "'"}}, "cloud"),
        ({"cloud": {"url": "s3://b", "environment": {"AWS_REGION": []}}}, "cloud"),
        ({"cloud": {"url": "s3://b"}, "host": "h"}, "cloud"),
        ({"threshold_megabytes": -1}, "threshold_megabytes"),
        ({"threshold_backup_size_percentage": "much"}, "threshold_backup_size_percentage"),
        ({"push_timeout": 0}, "push_timeout"),
        ({"fetch_timeout": "long"}, "fetch_timeout"),
        ({"query_timeout": 10}, "query_timeout"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(section: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load(**section)
    assert isinstance(caught.value.messages, Mapping)
    assert key in caught.value.messages


def test_what_the_programs_are_told_follows_from_the_settings() -> None:
    settings = BarmanPlugin(
        load(host="h", port=2222, config="/etc/b c.conf", program="sudo -u barman", ssh_dir="/ssh")
    ).hacore_archive_settings(REQUEST)
    found = dict(settings.environment)
    assert found["HACORE_BARMAN_COMMAND"] == "sudo -u barman barman -c '/etc/b c.conf'"
    assert found["HACORE_BARMAN_PORT"] == "-p 2222"
    assert found["PATH"].startswith("/ssh:")
    assert (settings.missing_codes, settings.conflict_codes) == ((1,), (3,))
    assert Path(settings.push[1]).exists()


def test_ssh_never_asks_anybody_and_without_a_host_there_is_none() -> None:
    words = Remote(load(host="backup.example", port=2222)).words("true")
    assert "BatchMode=yes" in words
    assert words[-2:] == ("barman@backup.example", "true")
    assert Remote(load()).words("true") == ("/bin/sh", "-c", "true")


def test_a_program_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hacore_replica_barman.remote._PATH", "/nowhere")
    (fault,) = BarmanPlugin(load(host="h", ssh_dir=str(tmp_path))).hacore_validate(Validate(context=CONTEXT))
    assert str(tmp_path) in fault


def test_settings_of_barman_in_the_section_of_the_method_are_refused() -> None:
    request = ReplicaRequest(context=CONTEXT, method="barman", source=None, data_dir="/data", options=(("api-url", "x"),))
    answer = BarmanPlugin(load()).hacore_replica_offer(request)
    assert isinstance(answer, Refusal)
    assert "api-url" in answer.reason


def test_object_storage_has_its_own_program_and_its_secrets_are_never_shown() -> None:
    settings = load(cloud={"url": "s3://b/p", "push_options": "--gzip", "environment": {"AWS_SECRET_ACCESS_KEY": "hidden"}})
    assert "hidden" not in repr(settings)
    archive = BarmanPlugin(settings).hacore_archive_settings(REQUEST)
    found = dict(archive.environment)
    assert (found["HACORE_BARMAN_URL"], found["HACORE_BARMAN_PUSH"], found["AWS_SECRET_ACCESS_KEY"]) == ("s3://b/p", "--gzip", "hidden")
    assert Path(archive.push[1]).name == "cloud.sh"


def test_programs_of_the_cloud_that_are_not_there_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hacore_replica_barman.cloud._PATH", "/nowhere")
    plugin = BarmanPlugin(load(cloud={"url": "s3://b", "bin_dir": str(tmp_path)}))
    (fault,) = plugin.hacore_validate(Validate(context=CONTEXT))
    assert str(tmp_path) in fault
