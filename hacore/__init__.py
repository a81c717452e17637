"""hacore keeps one PostgreSQL primary alive per cluster."""

from typing import Final

__version__: Final = "0.1.0"
INTERFACE_VERSION: Final = "4.1.5"  # level of the field's interface that we speak: published as the member record's ``version``
