"""Requests, plans, steps and the engine that runs them. Knows nothing of where requests come from."""
