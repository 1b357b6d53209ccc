"""What several test folders share: makers of values, simulated time, a tenant in memory."""
