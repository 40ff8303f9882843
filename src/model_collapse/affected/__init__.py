"""Who is hit first: small families in which some are rarer than others.

Facts that a text seldom states (`facts`), patients of a rare kind (`patients`), what few people like (`recommender`).
They back chapter *Affected*; the loop and its regimes are those of every family.
"""
