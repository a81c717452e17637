import pytest

from hacore.postgres import conffile


@pytest.mark.parametrize("value", ["", "plain", "it's", "back\\slash", "two\nlines", "'", "# no comment", "a = b"])
def test_a_value_that_is_written_is_read_back(value: str) -> None:
    assert conffile.parse_settings(conffile.setting_line("name", value)) == {"name": value}


def test_settings_are_read_as_postgresql_reads_them() -> None:
    text = "# comment\n\nPort = 5433  # more\nlog_line_prefix '%m '\nwork_mem=4MB\nport=5434\ncustom.thing = 'x''y'\n"
    assert conffile.parse_settings(text) == {"port": "5434", "log_line_prefix": "%m ", "work_mem": "4MB", "custom.thing": "x'y"}


def test_lines_of_some_settings_are_taken_out_and_named() -> None:
    text = "# kept\nprimary_conninfo = 'x'\nwork_mem = 1MB\nRestore_Command 'y'\n"
    stripped, dropped = conffile.without(text, {"primary_conninfo", "restore_command"})
    assert stripped == "# kept\nwork_mem = 1MB\n"
    assert dropped == ("primary_conninfo", "restore_command")
