"""What tests are made of."""

from hacore.testing.conformance.archive import SEGMENT_BYTES


def first_page(system_id: str) -> bytes:
    """A segment of WAL as far as its header tells whose it is (XLogLongPageHeaderData, PostgreSQL 15)."""
    header = (0xD110).to_bytes(2, "little") + (0x0002).to_bytes(2, "little") + bytes(20) + int(system_id).to_bytes(8, "little")
    return header + bytes(SEGMENT_BYTES - len(header))
