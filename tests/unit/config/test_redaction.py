import pytest

from hacore.config.redaction import HIDDEN, is_secret, redact, redact_text, shown


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("restapi", "authentication", "password"), True),
        (("restapi", "keyfile_password"), True),
        (("consul", "token"), True),
        (("zookeeper", "auth_data", "digest"), True),
        (("plugins", "s3", "secret_access_key"), True),
        (("postgresql", "pgpass"), False),
        (("restapi", "server_tokens"), False),
        (("restapi", "keyfile"), False),
        (("hacore", "fencing_tokens"), False),
        (("plugins", "x", "webhook_url"), False),
    ],
)
def test_a_secret_is_known_by_the_name_of_its_key(path: tuple[str, ...], wanted: bool) -> None:
    assert is_secret(path) is wanted


def test_a_schema_may_mark_any_key_as_secret() -> None:
    assert is_secret(("plugins", "x", "url"), {("plugins", "x", "url")})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("host=a password=hush user=b", f"host=a password={HIDDEN} user=b"),
        ("password='hu \\' sh' user=b", f"password={HIDDEN} user=b"),
        ("postgres://u:hush@h:1/d", f"postgres://u:{HIDDEN}@h:1/d"),
        ("http://:hush@h", f"http://:{HIDDEN}@h"),
        ("/bin/x --token=hush -v", f"/bin/x --token={HIDDEN} -v"),
        ("AWS_SECRET_ACCESS_KEY=hush /bin/x", f"AWS_SECRET_ACCESS_KEY={HIDDEN} /bin/x"),
        ("http://h:5432/d", "http://h:5432/d"),
        ("lease lost token=12 fired", "lease lost token=12 fired"),
        ("token=12ab", f"token={HIDDEN}"),
        ("password=12", f"password={HIDDEN}"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_secret_inside_a_text_is_hidden(text: str, wanted: str) -> None:
    assert redact_text(text) == wanted


def test_a_whole_tree_is_redacted() -> None:
    tree = {"a": {"password": "hush", "token": None, "list": ["password=hush", 1]}, "secret": ["hush"], "n": 1}
    found = redact(tree)
    assert found == {"a": {"password": HIDDEN, "token": None, "list": [f"password={HIDDEN}", 1]}, "secret": HIDDEN, "n": 1}


def test_a_fencing_token_is_no_secret() -> None:
    assert redact({"token": 12, "fencing_token": 3, "password": 12}) == {"token": 12, "fencing_token": 3, "password": HIDDEN}


@pytest.mark.parametrize(
    ("value", "path", "wanted"),
    [
        ({}, ("a",), "an empty mapping"),
        ({"a": 1}, ("a",), "a mapping"),
        ([], ("a",), "an empty list"),
        ([1], ("a",), "a list"),
        (None, ("a",), "nothing"),
        ("x", ("a",), "'x'"),
        (5, ("a",), "5"),
        (True, ("a",), "True"),
        ("hush", ("password",), HIDDEN),
        ("x" * 100, ("a",), repr("x" * 60 + "...")),
    ],
)
def test_a_wrong_value_is_shown_short_and_without_secrets(value: object, path: tuple[str, ...], wanted: str) -> None:
    assert shown(value, path) == wanted
