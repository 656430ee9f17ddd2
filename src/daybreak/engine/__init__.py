"""Runs a plan: readiness, attempts, failures, workers. The only package that knows Parsl."""
