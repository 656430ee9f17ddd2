"""The Python functions behind the commands: they do the same and return objects."""
