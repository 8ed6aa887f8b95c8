"""The review page: FastAPI over a queue."""
