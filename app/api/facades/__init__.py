"""Other services' dialects: each a thin translation in front of the same predictions, apart from all others."""
