"""docs/scale.md shows what the model computes."""

import scale_model


def test_the_document_shows_the_tables_of_the_model():
    text = scale_model.DOCUMENT.read_text(encoding="utf-8")
    assert scale_model.with_tables(text) == text, "run tests/bench/scale_model.py --write"


def test_every_table_has_its_place_in_the_document():
    text = scale_model.DOCUMENT.read_text(encoding="utf-8")
    for name in scale_model.TABLES:
        assert f"<!-- table: {name} -->" in text, name


def test_more_mail_larger_mail_and_more_copies_never_need_less():
    for load in scale_model.LOADS:
        for other in scale_model.LOADS:
            more = (other.millions >= load.millions and other.octets >= load.octets
                    and other.copies >= load.copies)
            if more:
                assert other.nodes() >= load.nodes()
                assert other.cores(True) >= load.cores(True)
                assert other.sent() >= load.sent()


def test_no_node_is_more_than_half_full_of_anything():
    for load in scale_model.LOADS:
        for what, nodes in load.wants().items():
            assert nodes <= load.nodes(), what
