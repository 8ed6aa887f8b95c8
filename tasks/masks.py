"""Masks in the tables, under the name by which notebooks and scripts import them."""

from schemas.masks import decode_mask, encode_mask, mask_area

__all__ = ["decode_mask", "encode_mask", "mask_area"]
