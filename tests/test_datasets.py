"""Data that ship with the dependencies, and their cards."""

from model_collapse import datasets


def test_the_language_reference_is_on_every_machine():
    text = datasets.language_reference()
    counts = datasets.word_counts(text.text)
    assert sum(counts.values()) > 50_000 and counts["the"] > 1000
    assert sum(count == 1 for count in counts.values()) > 500


def test_a_card_has_a_checksum_and_no_path(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("one two two", encoding="utf-8")
    card = datasets.read_text(path).card()
    assert card["name"] == "mine.txt" and card["bytes"] == 11 and len(card["sha256"]) == 64
    assert str(tmp_path) not in str(card)


def test_a_byte_order_mark_is_no_word(tmp_path):
    path = tmp_path / "bom.txt"
    path.write_bytes("\ufeffword".encode())
    assert datasets.word_counts(datasets.read_text(path).text) == {"word": 1}
