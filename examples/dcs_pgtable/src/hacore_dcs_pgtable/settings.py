"""What stands in the section ``postgres_table``, checked and frozen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)  # no slots: the schema takes its defaults from the class
class TableSettings:
    """Where the table is."""

    host: str
    port: int = 5432
    database: str = "hacore"
    username: str = "hacore"
    password: str | None = field(default=None, repr=False)
    cacert: str | None = None  # file: with it the connection is encrypted and the server's certificate verified
