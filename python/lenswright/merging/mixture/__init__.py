"""Mixtures of experts built from dense models: recipe, layouts, gates, the building itself."""
