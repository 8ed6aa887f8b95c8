"""Alembic migrations of the queue, run when a queue is opened."""
