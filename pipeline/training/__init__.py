"""Training of the small text classifiers that stages ship, and of a user's own.

rows.py        labelled documents from a file, and what each weighs
features.py    a text as rows of a fastText model: words, character n-grams, word n-grams
linear.py      logistic regression on them, in compiled code: the same numbers every time
model_file.py  the result as a fastText file, quantised to one byte a row
search.py      hyper-parameters by leave-one-source-out, within a time
metrics.py     AUC, confusion, reliability
head.py        a logistic regression on few numbers, for combining and calibrating scores
card.py        the model card
nsfw.py        what `tamis train nsfw` does
"""
