"""Read IceCube's ``.i3`` files and frames without IceTray."""
