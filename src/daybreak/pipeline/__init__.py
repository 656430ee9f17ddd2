"""Requests, plans, steps and the engine; knows nothing of where requests come from."""
