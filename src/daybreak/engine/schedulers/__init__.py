"""Slurm, HTCondor, Kubernetes: their jobs, and how those end."""
