"""A language model trained on its predecessor's text (Shumailov et al., Nature 2024, figure 1)."""
