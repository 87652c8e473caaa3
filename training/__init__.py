"""Datasets, drawn scenes, recipes, training and evaluation."""
