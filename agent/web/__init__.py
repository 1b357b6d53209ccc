"""The agent's HTTP server: metrics for Prometheus, its health for a supervisor, a reload for an administrator."""
