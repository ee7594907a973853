import pytest

from medseg.io.dicom.cause import cause


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RecursionError("maximum recursion depth exceeded"), "it is nested too deeply"),
        (NotImplementedError(), "in a way that nothing here reads"),
        (ValueError("the file ends within it"), "the file ends within it"),
        (ValueError("invalid literal for int(): 'Doe^Jane'"), "invalid literal for int(): …"),
        (KeyError("Doe^Jane"), "report "),
        (OverflowError(), "report "),
    ],
)
def test_what_went_wrong_is_said_in_words_without_names_of_exceptions_or_patients(error, words):
    assert cause(error).startswith(words)
    assert "Error" not in cause(error)
