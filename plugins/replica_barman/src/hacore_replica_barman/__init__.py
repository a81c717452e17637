"""Plugin of hacore for Barman: archive, backups, restore, and standbys made of backups."""
