"""The reference of the ordinary: what a model's scores and features are on footage in which unusual things are rare."""
