"""The steps of an analysis, a module each: files in, files out, nothing else."""
