"""Model Collapse, Replicated: the tested code behind an executable book.

>>> from model_collapse import load_record
>>> record = load_record("gaussian", "paper-replace")
>>> record.summary("variance")
"""

__all__ = ["load_record"]


def load_record(family: str, run: str, root=None):
    """An archived run, ``<root>/<family>/<run>``, checked against its checksums.

    Parameters
    ----------
    family, run : str
        Such as ``"gaussian"`` and ``"paper-replace"``.
    root : path-like, optional
        Folder of results; default ``MODEL_COLLAPSE_RESULTS``, or ``data/results`` of the checkout.

    Returns
    -------
    model_collapse.archive.Record

    Raises
    ------
    model_collapse.archive.ArchiveError
        Where there is no such record or it is damaged.
    """
    from pathlib import Path

    from .archive import load_record
    from .places import results_root

    return load_record(Path(root or results_root()) / family / run)
