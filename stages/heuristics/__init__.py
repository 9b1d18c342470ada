"""Rules of thumb from published recipes, each under the name of its recipe."""
