"""Questions to the tables of a run: where documents went, by which rule, and what another bound would do."""
