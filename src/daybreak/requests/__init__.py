"""Requests, their plans and their steps: one folder for each kind."""
