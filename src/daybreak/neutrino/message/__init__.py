"""Read IceCube's alert messages: JSON, and the pickled form, which is interpreted, never loaded."""
