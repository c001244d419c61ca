from slipway import errors


def test_every_error_has_an_exit_code_of_its_own():
    codes = [error.exit_code for error in errors.SlipwayError.__subclasses__() if error.__module__ == "slipway.errors"]
    assert len(codes) == len(set(codes))


def test_the_table_is_the_published_one():
    assert list(errors.exit_codes()) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 130]


def test_a_subclass_elsewhere_keeps_the_meaning_of_its_code():
    class Special(errors.InvalidInput):
        """A special case."""

    class Internal(errors.SlipwayError):
        meaning = "something else"

    assert errors.exit_codes()[3] == errors.InvalidInput.meaning
    assert errors.exit_codes()[1] == "internal error"
    assert Special("x").exit_code == 3
    assert Internal("x").exit_code == 1
