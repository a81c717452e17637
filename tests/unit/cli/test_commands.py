"""The command itself: help, exit codes, what is loaded, and the commands that need no cluster."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from hacore import __version__
from hacore.cli.main import COMMANDS, hacore
from hacore.cli.site import open_store
from hacore.config import load
from hacore.config.client import ClientSettings
from hacore.plugins.schemas import InstalledSchemas
from tests.unit.plugins.conftest import Install, install

__all__ = ["install"]

HEAVY = {"rich", "yaml", "marshmallow", "requests", "psycopg2", "stevedore", "pluggy", "falcon", "gunicorn"}
NODE = """\
scope: demo
name: n1
sqlite: {{path: {directory}/store.db}}
restapi: {{listen: '127.0.0.1:0', connect_address: '127.0.0.1:8008'}}
postgresql:
  listen: 127.0.0.1:5432
  connect_address: 127.0.0.1:5432
  data_dir: {directory}/data
  authentication:
    superuser: {{username: postgres, password: topsecret}}
    replication: {{username: replicator, password: topsecret}}
"""

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    for name in ("HACORE_CONFIG_FILE", "PATRONICTL_CONFIG_FILE", "DCS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return lambda *words, **options: CliRunner().invoke(hacore, [str(word) for word in words], **options)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.yml"
    path.write_text(NODE.format(directory=tmp_path).replace("127.0.0.1:0", "127.0.0.1:8008"))
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=n1"]
    subprocess.run([*made, "-out", path, "-keyout", path], capture_output=True, timeout=60, check=True)
    return path


def loaded_by(*words: str) -> set[str]:
    script = (
        "import os, sys\n"
        "os.execv = lambda *_: sys.exit(0)\n"
        "from hacore.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("run", "node.yml"), ("run",)])
def test_what_only_passes_on_loads_no_library(words: tuple[str, ...]) -> None:
    assert loaded_by(*words) & HEAVY == set()


def test_every_command_can_be_loaded_and_says_what_it_does(call: Call) -> None:
    for name in COMMANDS:
        done = call(name, "--help")
        assert done.exit_code == 0, name
        assert "Usage:" in done.output


def test_help_names_every_command_with_the_sentence_of_the_table(call: Call) -> None:
    output = " ".join(call("--help").output.split())
    for name, (_, sentence) in COMMANDS.items():
        assert name in output
        assert sentence in output


def test_help_fits_into_80_columns(call: Call) -> None:
    for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
        longest = max(call(*words, terminal_width=80).output.splitlines(), key=len)
        assert len(longest) <= 80, longest


def test_the_version_is_that_of_the_distribution(call: Call) -> None:
    assert call("--version").output == f"hacore, version {__version__}\n"
    assert call("version").output == f"hacore version {__version__}\n"
    assert json.loads(call("version", "-f", "json").output) == {"hacore": __version__}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("list", "--nonsense"),
        ("list", "--format", "nonsense"),
        ("-c", "/nonexistent.yml", "list"),
        ("list",),
        ("--dcs-url", "nonsense://x", "list", "demo"),
        ("dsn", "-r", "any", "-m", "n1"),
        ("flush", "demo", "nonsense"),
        ("validate", "/nonexistent.yml"),
        ("completion", "tcsh"),
    ],
)
def test_wrong_usage_and_a_wrong_configuration_end_with_2(call: Call, words: tuple[str, ...]) -> None:
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == "" or not words
    assert done.stderr or not words


@pytest.mark.parametrize(
    "words",
    [
        ("switchover", "--force"),
        ("failover", "--candidate", "n1", "--force"),
        ("restart", "--force"),
        ("reload", "--force"),
        ("reinit", "demo", "n1", "--force"),
        ("pause",),
        ("resume",),
        ("show-config",),
        ("edit-config", "-s", "ttl=40", "--force"),
        ("dsn",),
        ("history",),
        ("flush", "switchover"),
        ("explain", "--remote"),
    ],
)
def test_a_cluster_that_is_not_there_is_a_failure(call: Call, node: Path, words: tuple[str, ...]) -> None:
    done = call("-c", node, *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Error: Cluster demo is not in the store (namespace /service)" in done.stderr


def test_a_store_that_does_not_answer_is_a_failure(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "client.yml"
    path.write_text("scope: demo\netcd3: {hosts: ['127.0.0.1:1']}\n")
    done = call("-c", path, "list")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")


def test_a_cluster_that_is_not_there_can_be_looked_for(call: Call, node: Path) -> None:
    assert json.loads(call("-c", node, "list", "-f", "json").stdout) == []
    assert "Cluster: demo (uninitialized)" in call("-c", node, "list").stdout


def test_waiting_for_a_cluster_ends_in_time(call: Call, node: Path) -> None:
    done = call("-c", node, "list", "--wait", "--timeout", "0")
    assert done.exit_code == 1
    assert "not whole within 0 s: there is no leader" in done.stderr


def test_a_good_configuration_is_said_to_be_good(call: Call, node: Path) -> None:
    done = call("validate", node)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{node}: good")


def test_all_faults_are_said_at_once_with_their_places(call: Call, node: Path) -> None:
    node.write_text(node.read_text().replace("127.0.0.1:5432", "nonsense:x") + "pgpas: x\n")
    done = call("validate", node)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{node}:6: postgresql.listen: " in done.stderr
    assert f"{node}:7: postgresql.connect_address: " in done.stderr
    assert all(line.startswith(("Error: ", "Warning: ")) for line in done.stderr.splitlines())


def test_an_unknown_key_is_a_warning_and_with_strict_an_error(call: Call, node: Path) -> None:
    node.write_text(node.read_text() + "namespac: /db\n")
    done = call("validate", node)
    assert done.exit_code == 0
    assert "Warning: " in done.stderr
    assert "did you mean namespace?" in done.stderr
    assert call("validate", "--strict", node).exit_code == 2


def test_what_a_plugin_finds_wrong_on_this_machine_is_a_fault(call: Call, node: Path, tmp_path: Path) -> None:
    node.write_text(node.read_text().replace(f"{tmp_path}/store.db", "/nonexistent/store.db"))
    done = call("validate", node)
    assert done.exit_code == 2
    assert "sqlite.path: no directory /nonexistent" in done.stderr


ARCHIVE = """
from hacore.hookspecs import hookimpl

class Archive:
    def __init__(self, settings):
        pass

    @hookimpl
    def hacore_archive_settings(self, request):
        return None
"""


def test_settings_of_a_person_s_own_that_an_archive_plugin_takes_the_place_of_are_warned_of(
    call: Call, node: Path, tmp_path: Path, install: Install
) -> None:
    install("cellar", ARCHIVE, archive={"cellar": "cellar:Archive"})
    text = node.read_text() + "  parameters: {archive_command: cp %p /there}\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "postgresql.base.conf").write_text("restore_command = 'cp back'\n")
    node.write_text(text)
    assert "archive_command" not in call("validate", node).stderr
    node.write_text(text + "archive: cellar\n")
    done = call("validate", node)
    assert done.exit_code == 0
    assert "Warning: archive_command: set to 'cp %p /there' in postgresql.parameters" in done.stderr
    assert "Warning: restore_command: set to 'cp back'" in done.stderr


def test_programs_that_are_not_where_they_are_said_to_be_are_a_fault(call: Call, node: Path) -> None:
    node.write_text(node.read_text().replace("postgresql:\n", "postgresql:\n  bin_dir: /nonexistent\n"))
    done = call("validate", node)
    assert done.exit_code == 2
    assert "/nonexistent: no program postgres" in done.stderr


@pytest.mark.parametrize(
    ("section", "settings", "key"),
    [
        ("postgresql", {"pre_promote": "/nonexistent/pp.sh --fast"}, "postgresql.pre_promote"),
        ("postgresql", {"callbacks": {"on_start": "nonexistent-program"}}, "postgresql.callbacks.on_start"),
        ("postgresql", {"create_replica_methods": ["mine"], "mine": {"command": "/nonexistent/m"}}, "postgresql.mine.command"),
        ("postgresql", {"custom_conf": "/nonexistent/my.conf"}, "postgresql.custom_conf"),
        ("bootstrap", {"post_bootstrap": "/nonexistent/pb.sh"}, "bootstrap.post_bootstrap"),
        ("bootstrap", {"method": "own", "own": {"command": "/nonexistent/own"}}, "bootstrap.own.command"),
        ("bootstrap", {"dcs": {"postgresql": {"before_stop": "/nonexistent/bs"}}}, "postgresql.before_stop"),
        ("restapi", {"certfile": "/nonexistent/rest.crt"}, "restapi.certfile"),
        ("restapi", {"certfile": "{certificate}", "keyfile": "/nonexistent/rest.key"}, "restapi.keyfile"),
        ("restapi", {"certfile": "{certificate}", "cafile": "/nonexistent/ca.crt"}, "restapi.cafile"),
        ("restapi", {"certfile": "{certificate}", "ciphers": "NONE-OF-THEM"}, "restapi.ciphers"),
        ("ctl", {"certfile": "/nonexistent/ctl.crt"}, "ctl.certfile"),
        ("log", {"dir": "/dev/null/log"}, "log.dir"),
        ("guard", {"state_dir": "/nonexistent/state/n1"}, "guard.state_dir"),
        ("postgresql", {"data_dir": "/dev/null/data"}, "postgresql.data_dir"),
    ],
)
def test_what_a_run_would_miss_on_this_machine_is_a_fault(
    section: str, settings: dict[str, object], key: str, call: Call, node: Path, certificate: Path
) -> None:
    values = yaml.safe_load(node.read_text())
    filled = {name: str(certificate) if value == "{certificate}" else value for name, value in settings.items()}
    values[section] = {**values.get(section, {}), **filled}
    node.write_text(yaml.safe_dump(values))
    done = call("validate", "-i", node)
    assert done.exit_code == 2, done.stdout
    assert f"Error: {key}: " in done.stderr


def test_commands_and_certificates_that_are_there_are_good(call: Call, node: Path, certificate: Path) -> None:
    values = yaml.safe_load(node.read_text())
    values["restapi"] |= {"certfile": str(certificate), "cafile": str(certificate)}
    values["ctl"] = {"certfile": str(certificate), "cacert": str(certificate)}
    values["postgresql"] |= {"pre_promote": "sh -c true", "callbacks": {"on_start": sys.executable}}
    values["log"] = {"dir": str(node.parent / "logs" / "of" / "n1")}
    node.write_text(yaml.safe_dump(values))
    done = call("validate", node)
    assert done.exit_code == 0, done.stderr
    assert not (node.parent / "logs").exists()


def test_a_port_that_is_taken_is_a_warning(call: Call, node: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        node.write_text(node.read_text().replace("listen: '127.0.0.1:8008'", f"listen: '{address}'"))
        assert f"Warning: restapi.listen: {address}: Address already in use" in call("validate", node).stderr
        assert address not in call("validate", "-i", node).stderr
        assert call("validate", node).exit_code == 0


def test_what_validate_found_can_be_read_by_programs(call: Call, node: Path) -> None:
    node.write_text(node.read_text().replace("scope: demo\n", ""))
    done = call("validate", "-f", "json", node)
    found = json.loads(done.stdout)
    assert done.exit_code == 2
    assert found["configuration"] == str(node)
    assert any("scope" in fault for fault in found["faults"])


def test_each_value_is_explained_with_its_origin_and_without_secrets(call: Call, node: Path) -> None:
    done = call("explain-config", "--local", "-f", "json", node)
    rows = {row["Key"]: row for row in json.loads(done.stdout)}
    assert rows["scope"] == {"Key": "scope", "Value": "demo", "Origin": f"{node}:1"}
    assert rows["ttl"]["Origin"] == "default"
    assert "topsecret" not in done.stdout


MODES = {"ttl": 30, "synchronous_mode": True, "failsafe_mode": True, "permanent_slots": {"a": {"type": "physical"}}}
SENTENCES = [
    "synchronous_mode does not work yet and is ignored",
    "failsafe_mode does not work yet and is ignored",
    "permanent_slots does not work yet and is ignored",
    "this node does not stand for election: synchronous_mode does not work yet: a leader that ignores it is not safe",
]


def test_what_a_cluster_has_switched_on_and_this_node_would_ignore_is_warned_of(call: Call, node: Path, tmp_path: Path) -> None:
    cache = tmp_path / "data" / "patroni.dynamic.json"
    cache.parent.mkdir()
    cache.write_text(json.dumps(MODES))
    done = call("validate", "-i", node)
    assert done.exit_code == 0, done.stderr
    assert [one for one in SENTENCES if f"Warning: {cache}: {one}\n" in done.stderr] == SENTENCES
    strict = call("validate", "-i", "--strict", node)
    assert (strict.exit_code, f"Error: {cache}: {SENTENCES[0]}\n" in strict.stderr) == (2, True)
    rows = {row["Key"]: row["Origin"] for row in json.loads(call("explain-config", "--local", "-f", "json", node).stdout)}
    ignored = {key for key, origin in rows.items() if origin == f"{cache}, ignored"}
    assert (ignored, rows["ttl"]) == ({"synchronous_mode", "failsafe_mode", "slots.a.type"}, str(cache))


def test_what_a_cluster_has_switched_on_is_read_in_the_store_where_that_is_asked(call: Call, node: Path) -> None:
    said = call("validate", "-i", "--online", node).stderr
    assert "dynamic" not in said  # a cluster that is not there yet
    local = load(str(node), {}, plugins=InstalledSchemas()).local
    settings = ClientSettings(scope=local.scope, namespace=local.namespace, ctl=local.ctl, dcs=local.dcs)
    with open_store(settings, local.scope) as store:
        assert store.replace("config", json.dumps(MODES), expected=0)
    assert not any(one in call("validate", "-i", node).stderr for one in SENTENCES)
    said = call("validate", "-i", "--online", node).stderr
    assert [one for one in SENTENCES if f"Warning: dynamic: {one}\n" in said] == SENTENCES
    rows = {row["Key"]: row["Origin"] for row in json.loads(call("explain-config", "-f", "json", node).stdout)}
    assert rows["synchronous_mode"] == "dynamic, ignored"
    with open_store(settings, local.scope) as store:
        assert store.replace("config", '{"ttl":"soon"}', expected=store.version_of("config"))
    assert "Warning: the dynamic configuration is not known" in call("validate", "-i", "--online", node).stderr


def test_an_explanation_without_the_store_says_so(call: Call, node: Path) -> None:
    done = call("explain-config", "-f", "tsv", node)
    assert done.exit_code == 0
    assert "Warning: the dynamic configuration is not known, its keys show their defaults: there is none yet" in done.stderr


def test_plugins_are_listed_with_distribution_and_version(call: Call) -> None:
    rows = {row["Name"]: row for row in json.loads(call("plugins", "list", "-f", "json").stdout)}
    assert rows["sqlite"] == {
        "Kind": "dcs", "Name": "sqlite", "Distribution": "hacore-dcs-sqlite", "Version": rows["sqlite"]["Version"], "Loaded": "yes",
    }  # fmt: skip
    assert {"basebackup", "script", "callbacks", "etcd3"} <= set(rows)


def test_a_plugin_is_shown_with_its_settings_and_defaults(call: Call) -> None:
    done = call("plugins", "show", "etcd3")
    assert "Distribution: hacore-dcs-etcd" in done.stdout
    (found,) = yaml.safe_load(call("plugins", "show", "etcd3", "-f", "yaml").stdout)
    settings = {one["name"]: one for one in found["settings"]}
    assert settings["port"]["default"] == 2379
    assert settings["password"]["secret"]


def test_a_plugin_that_is_not_installed_cannot_be_shown(call: Call) -> None:
    done = call("plugins", "show", "nonsense")
    assert done.exit_code == 1
    assert "plugin nonsense: not installed" in done.stderr


PLUGIN = """\
    import click
    from hacore.hookspecs import hookimpl

    @click.command()
    @click.argument("word")
    def shout(word):
        "Say it loudly."
        click.echo(word.upper())

    class Shouting:
        def __init__(self, settings):
            pass

        @hookimpl
        def hacore_commands(self):
            return [shout]

    class Broken:
        def __init__(self, settings):
            pass
"""


def test_commands_of_plugins_stand_beside_the_built_in_ones(call: Call, install: Callable[..., Path]) -> None:
    install("shouting", PLUGIN, command={"shouting": "shouting:Shouting"})
    assert call("shout", "hello").output == "HELLO\n"
    assert "Say it loudly." in call("--help").output


def test_a_plugin_that_is_broken_takes_no_command_away(call: Call, install: Callable[..., Path]) -> None:
    install("shouting", PLUGIN, command={"shouting": "shouting:Shouting", "broken": "shouting:Broken"})
    done = call("shout", "hello")
    assert (done.exit_code, done.stdout) == (0, "HELLO\n")
    assert "broken" in done.stderr
    assert "does not implement hacore_commands" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(call: Call, shell: str) -> None:
    done = call("completion", shell)
    assert done.exit_code == 0
    assert "_HACORE_COMPLETE" in done.output


def test_a_shell_is_told_commands_and_options() -> None:
    environ = {"_HACORE_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "hacore sw"}
    script = "from hacore.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["plain,switchover"]


def test_every_command_and_option_stands_in_the_reference() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md").read_text()
    named = set(re.findall(r"-{0,2}[A-Za-z][A-Za-z-]*", page))
    context = click.Context(hacore)
    for name in COMMANDS:
        command = hacore.get_command(context, name)
        assert command is not None
        assert name in named
        options = {option for parameter in command.params if isinstance(parameter, click.Option) for option in parameter.opts}
        assert {option for option in options if option.startswith("--")} - named <= SHORT_IS_ENOUGH, name


SHORT_IS_ENOUGH = {"--extended", "--timestamp", "--watch", "--role", "--member", "--quiet", "--set", "--pg", "--ignore-listen-port"}


@pytest.mark.parametrize("words", [(), ("--to", "yesterday"), ("--to", "2030-01-31"), ("--to", "latest", "--timeline", "old")])
def test_a_restore_to_what_is_no_target_is_wrong_usage(call: Call, node: Path, words: tuple[str, ...]) -> None:
    done = call("-c", node, "restore", *words)
    assert (done.exit_code, "want" in done.stderr or "missing" in done.stderr) == (2, True)
