"""All cases whose answers were worked out by hand from MODEL.md: `CASES` to count, `ERRORS` to refuse.

Any program that follows MODEL.md passes them: run the rows, compare the columns of `expect` with ==.
"""

from truth import handworked_survey, schemes, wide_guests
from truth.handworked_survey import ERRORS, Error
from truth.rows import Case

__all__ = ["CASES", "ERRORS", "Case", "Error"]

CASES: list[Case] = [*handworked_survey.CASES, *schemes.CASES, *wide_guests.CASES]
