"""Shows what is read from its beginning to its end as Arrow wants to see a file."""


class Forward:
    """A file for pyarrow.PythonFile that can be read and nothing else; a subclass has, or sets, `read(length)`."""

    closed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        pass
