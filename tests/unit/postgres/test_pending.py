from hacore.postgres.pending import changes


def row(
    name: str, setting: str, unit: str | None, kind: str, *, flag: bool = False, in_file: str | None = None, shown: str | None = None
) -> tuple[object, ...]:
    return (name, setting, unit, kind, "postmaster", flag, shown or setting, in_file, "boot")


def test_a_command_line_setting_is_compared_because_the_server_has_no_flag_for_it() -> None:
    rows = [row("max_connections", "100", None, "integer")]
    assert changes(rows, {"max_connections": "200"}) == (("max_connections", "100", "200"),)
    assert changes(rows, {"max_connections": "100"}) == ()


def test_values_are_shown_in_units_for_people() -> None:
    rows = [row("shared_buffers", "2048", "8kB", "integer", shown="16MB", flag=True)]
    assert changes(rows, {"shared_buffers": "32768kB"}) == (("shared_buffers", "16MB", "32MB"),)


def test_another_spelling_of_the_value_in_force_is_no_change() -> None:
    rows = [
        row("shared_buffers", "2048", "8kB", "integer", flag=True),
        row("wal_log_hints", "on", None, "bool"),
        row("listen_addresses", "a, b", None, "string"),
    ]
    assert changes(rows, {"shared_buffers": "16MB", "wal_log_hints": "true", "listen_addresses": "a,b"}) == ()


def test_a_setting_that_was_taken_away_goes_back_to_the_file_or_the_default() -> None:
    rows = [row("huge_pages", "on", None, "enum", flag=True, in_file="try"), row("archive_mode", "on", None, "enum", flag=True)]
    assert changes(rows, {}) == (("archive_mode", "on", "boot"), ("huge_pages", "on", "try"))


def test_recovery_settings_and_hot_standby_never_wait_for_a_restart() -> None:
    rows = [row("hot_standby", "off", None, "bool", flag=True), row("restore_command", "x", None, "string", flag=True)]
    assert changes(rows, {"hot_standby": "on"}) == ()
