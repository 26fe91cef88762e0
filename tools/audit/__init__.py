"""Check and read audit trails, offline."""
