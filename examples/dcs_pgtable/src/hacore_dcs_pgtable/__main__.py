"""Print what the owner of the database runs once: ``python -m hacore_dcs_pgtable | psql --set agent=ROLE ...``."""

import sys
from importlib.resources import files

sys.stdout.write(files("hacore_dcs_pgtable").joinpath("schema.sql").read_text())
