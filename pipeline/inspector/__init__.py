"""The inspector: a local web app that answers questions about a run, from its own records.

Every view is the answer to a GET, so its address can be passed on; nothing is kept between requests but a cache. The
one POST writes a person's label of a sample. No view serves a file: pages are made of the run's tables and templates.
"""
