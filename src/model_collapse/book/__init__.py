"""The book as a program: executing chapters, staging pages, checking what came out.

Chapters call :func:`stamp` in their last cell. The other parts are used by the build and the tests:

- ``environment`` says where and with what a chapter was executed;
- ``running`` executes chapters and drives Snakemake;
- ``pages`` stages the pages, builds the HTML and checks it;
- ``prose`` finds numbers that were typed by hand.

The face imports ``environment`` alone, so a chapter does not depend on how pages are built.
"""

from .environment import stamp

__all__ = ["stamp"]
