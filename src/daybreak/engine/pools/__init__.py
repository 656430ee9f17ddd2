"""Workers: processes of this host, or jobs of a cluster."""
