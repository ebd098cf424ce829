"""Find or start PostgreSQL, stop it, back it up. No Django, no server to install."""

from packshot.embedded.backup import backup, restore
from packshot.embedded.cluster import DATABASE, Address, Cluster, Status
from packshot.embedded.host import SYSTEM_HOME, NoDatabase

__all__ = ["DATABASE", "SYSTEM_HOME", "Address", "Cluster", "NoDatabase", "Status", "backup", "restore"]
