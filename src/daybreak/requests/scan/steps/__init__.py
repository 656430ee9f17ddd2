"""The steps of a sky scan: the pixels, then what is made from them."""
