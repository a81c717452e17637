"""Plugin of hacore for WAL-G: archive, backups, restore, and standbys made of backups."""
