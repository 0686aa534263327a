"""What stays up: the model server, and what Prometheus reads of Postgres."""
