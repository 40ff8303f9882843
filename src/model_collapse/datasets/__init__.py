"""Named real data with their checksums, and a person's own data, read with care."""

from .corpora import books, wikitext
from .errors import DataError
from .images import ImageSet, digits, faces, few_faces, mnist, remarks
from .pictures import read_images
from .points import PointSet, read_points, tumours
from .text import Text, language_reference, read_text, word_counts

__all__ = [
    "DataError",
    "ImageSet",
    "PointSet",
    "Text",
    "books",
    "digits",
    "faces",
    "few_faces",
    "language_reference",
    "mnist",
    "read_images",
    "read_points",
    "read_text",
    "remarks",
    "tumours",
    "wikitext",
    "word_counts",
]
