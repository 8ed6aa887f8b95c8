"""Models behind one protocol: what the method needs of a CLIP, and one module for each family of image towers."""
