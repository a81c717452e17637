"""Files as they are in use for the other tool: they run here unchanged."""

from pathlib import Path

from hacore.config import effective
from tests.unit.config.samples import load_text

FULL = """
scope: batman
namespace: /db/
name: postgresql0

restapi:
  listen: 127.0.0.1:8008
  connect_address: 127.0.0.1:8008
  authentication:
    username: admin
    password: admin
  verify_client: none

ctl:
  insecure: false

etcd3:
  host: 127.0.0.1:2379
  hosts: 127.0.0.1:2379

bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    master_start_timeout: 300
    synchronous_mode: false
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        wal_level: hot_standby
        hot_standby: "on"
        max_connections: 100
        max_worker_processes: 8
        wal_keep_segments: 8
        max_wal_senders: 10
        max_replication_slots: 10
        max_prepared_transactions: 0
        max_locks_per_transaction: 64
        wal_log_hints: "on"
        track_commit_timestamp: "off"
        archive_mode: "on"
        archive_timeout: 1800s
        archive_command: mkdir -p ../wal_archive && cp %p ../wal_archive/%f
      recovery_conf:
        restore_command: cp ../wal_archive/%f %p
  initdb:
  - encoding: UTF8
  - data-checksums
  pg_hba:
  - local all all trust
  - host replication replicator 127.0.0.1/32 md5
  - host all all 0.0.0.0/0 md5
  post_init: /usr/local/bin/setup_cluster.sh

postgresql:
  listen: 127.0.0.1,127.0.1.1,::1:5432
  connect_address: 127.0.0.1:5432
  proxy_address: 127.0.0.1:5433
  data_dir: /data/postgresql0
  bin_dir: /usr/lib/postgresql/15/bin
  pgpass: /tmp/pgpass0
  authentication:
    replication:
      username: replicator
      password: rep-pass
    superuser:
      username: postgres
      password: zalando
    rewind:
      username: rewind_user
      password: rewind_password
  krbsrvname: postgres
  callbacks:
    on_start: /bin/cb
    on_role_change: /bin/cb --fast
  create_replica_methods:
  - pgbackrest
  - basebackup
  pgbackrest:
    command: /usr/bin/pgbackrest --stanza=main --delta restore
    keep_data: True
    no_params: True
  basebackup:
  - verbose
  - max-rate: 100M
  - checkpoint: fast
  pre_promote: /path/to/pre_promote.sh
  parameters:
    unix_socket_directories: '..'
    shared_buffers: 1GB
    log_min_duration_statement: 500

watchdog:
  mode: automatic
  device: /dev/watchdog
  safety_margin: 5

tags:
  failover_priority: 1
  noloadbalance: false
  clonefrom: false
  nosync: false
  nostream: false
  environment: production
"""


def test_a_full_file_of_the_field_has_no_unknown_key(tmp_path: Path) -> None:
    loaded = load_text(FULL.replace("  host: 127.0.0.1:2379\n", ""), tmp_path, strict=True)
    assert loaded.warnings == ()
    local = loaded.local
    assert (local.name, local.namespace, local.dcs.name) == ("postgresql0", "/db", "etcd3")
    assert local.postgresql.listen_addresses == ("127.0.0.1", "127.0.1.1", "::1")


def test_its_dynamic_part_means_what_it_means_there(tmp_path: Path) -> None:
    local = load_text(FULL, tmp_path).local
    assert local.bootstrap is not None
    found = effective(local, local.bootstrap.dcs)
    assert found.warnings == ()
    assert found.policy.primary_start_timeout_s == 300
    controlled = found.postgres.controlled_parameters
    assert (controlled["wal_level"], controlled["wal_keep_size"]) == ("replica", "128MB")
    assert found.postgres.parameters["archive_timeout"] == "1800s"
    assert found.postgres.parameters["log_min_duration_statement"] == "500"
    assert found.postgres.recovery_conf == {"restore_command": "cp ../wal_archive/%f %p"}
    assert found.postgres.methods["pgbackrest"].no_params
    assert [option.as_argument() for option in found.postgres.basebackup] == ["--verbose", "--max-rate=100M", "--checkpoint=fast"]
    assert [option.as_argument() for option in local.bootstrap.initdb] == ["--encoding=UTF8", "--data-checksums"]


def test_a_file_without_a_word_too_many_is_enough(tmp_path: Path) -> None:
    text = """
scope: s
name: n
restapi: {listen: "0.0.0.0:8008", connect_address: "10.0.0.1:8008"}
etcd3: {hosts: "a:2379,b:2379"}
postgresql:
  listen: 0.0.0.0:5432
  connect_address: 10.0.0.1:5432
  data_dir: /d
  authentication:
    superuser: {username: postgres}
    replication: {username: replicator}
"""
    local = load_text(text, tmp_path, strict=True).local
    assert local.bootstrap is None
    assert effective(local, None).postgres.controlled_parameters["listen_addresses"] == "0.0.0.0"
