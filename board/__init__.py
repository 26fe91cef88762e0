"""One file per board: which drivers, which ports. The only place that names concrete ones."""
