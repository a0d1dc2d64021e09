"""Clips from videos and triplets from images, as `keras.utils.PyDataset`."""
