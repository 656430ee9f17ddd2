"""What a file of a telescope is, whether it is whole, and what is in it."""
