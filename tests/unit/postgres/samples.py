"""Settings of a server for tests, with everything that a test does not care about filled in."""

from hacore.config.address import HostPort
from hacore.config.postgres_settings import CallbackSettings, PostgresSettings
from hacore.config.settings import AuthenticationSettings, ConnectionSettings

CONTROLLED = {
    "wal_level": "replica",
    "hot_standby": "on",
    "max_connections": "50",
    "max_wal_senders": "10",
    "wal_keep_size": "128MB",
    "max_prepared_transactions": "0",
    "max_locks_per_transaction": "64",
    "track_commit_timestamp": "off",
    "max_replication_slots": "10",
    "max_worker_processes": "8",
    "wal_log_hints": "on",
}


def connection(username: str | None, password: str | None, **options: str) -> ConnectionSettings:
    return ConnectionSettings(username=username, password=password, options=options)


def settings(data_dir: str, *, name: str = "a", port: int = 5432, bin_dir: str | None = None) -> PostgresSettings:
    superuser = connection("postgres", "super secret")
    return PostgresSettings(
        name=name,
        scope="demo",
        listen_addresses=("127.0.0.1",),
        port=port,
        connect_address=HostPort("127.0.0.1", port),
        proxy_address=None,
        data_dir=data_dir,
        config_dir=data_dir,
        config_base_name="postgresql",
        bin_dir=bin_dir,
        bin_name={},
        database="postgres",
        pgpass=f"{data_dir}.pgpass",
        krbsrvname=None,
        authentication=AuthenticationSettings(
            superuser=superuser, replication=connection("replicator", "rep:secret"), rewind=connection("rewinder", "rew\\secret")
        ),
        callbacks=CallbackSettings(),
        create_replica_methods=("basebackup",),
        methods={},
        basebackup=(),
        recovery_conf={},
        custom_conf=None,
        parameters={"unix_socket_directories": "/tmp", "fsync": "off", "shared_buffers": "16MB"},
        controlled_parameters={**CONTROLLED, "listen_addresses": "127.0.0.1", "port": str(port), "cluster_name": "demo"},
        pg_hba=None,
        pg_ident=None,
        use_unix_socket=False,
        pg_ctl_timeout_s=30.0,
        pre_promote=None,
        before_stop=None,
    )
