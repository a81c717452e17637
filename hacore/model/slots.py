"""Names of the physical replication slots of members (interface reference 3.3)."""

import re

_MAX_LENGTH = 63  # PostgreSQL documentation, max identifier length


def slot_name(member: str) -> str:
    """Return the slot name of the member called ``member``: at most 63 characters of ``[a-z0-9_]``."""
    lowered = re.sub(r"[-.]", "_", member.lower())
    return re.sub(r"[^a-z0-9_]", lambda found: f"u{ord(found.group()):04d}", lowered)[:_MAX_LENGTH]
