"""What a daemon shows over HTTP: telemetry, health, the status page. Loaded by `--listen` only."""
