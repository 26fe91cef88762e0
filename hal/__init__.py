"""Everything that touches a machine: ports (the contracts), and what stands behind them on each
runtime."""
