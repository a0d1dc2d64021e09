"""Writing calls as text, in the words of the user's library; remembers the imports they need."""

from __future__ import annotations

from stayfinite.repair.api import Api, Spelling

_TORCH_KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}


class CannotSpellError(Exception):
    """No loaded library has the operation; the rewrite that needs it is left out."""


class Emitter:
    """Builds the text of calls. Operands are text; bounds are literals, also text."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.imports: list[str] = []

    def spell(self, operation: str) -> Spelling:
        """The name to call for `operation`."""
        spelling = self._api.spell(operation)
        if spelling is None:
            raise CannotSpellError(operation)
        if spelling.import_line and spelling.import_line not in self.imports:
            self.imports.append(spelling.import_line)
        return spelling

    def call(self, operation: str, *operands: str, **options: str | None) -> str:
        """`operation(operands, option=...)`; an option that is `None` is left out."""
        spelling = self.spell(operation)
        words = list(operands)
        for key, value in options.items():
            if value is not None:
                torch = spelling.family == "torch"
                words.append(f"{_TORCH_KEYWORDS.get(key, key) if torch else key}={value}")
        return f"{spelling.text}({', '.join(words)})"

    def at_least(self, x: str, bound: str) -> str:
        """`maximum(x, bound)`; PyTorch's wants two tensors, so `clamp` there."""
        spelling = self.spell("maximum")
        keyword = "min=" if spelling.family == "torch" else ""
        return f"{spelling.text}({x}, {keyword}{bound})"

    def at_most(self, x: str, bound: str) -> str:
        """`minimum(x, bound)`."""
        spelling = self.spell("minimum")
        keyword = "max=" if spelling.family == "torch" else ""
        return f"{spelling.text}({x}, {keyword}{bound})"

    def constant_like(self, value: str, x: str) -> str:
        """`value` as a branch of `where` beside `x`.

        TensorFlow takes the dtype of the pair from the first of them, so a bare 1.0 would make
        it float32.
        """
        if self.spell("where").family != "tensorflow":
            return value
        ones = self.call("ones_like", x)
        return ones if value == "1.0" else f"{value} * {ones}"

    def one_where_zero(self, tested: str, x: str) -> str:
        """`where(equal(tested, 0), 1.0, x)`."""
        condition = self.call("equal", tested, "0")
        return self.call("where", condition, self.constant_like("1.0", x), x)

    def float32(self, x: str) -> str:
        """`x` in float32; `x` is an atom or stands alone."""
        family = self._api.family
        if family == "torch":
            return f"({x}).float()" if not x.isidentifier() else f"{x}.float()"
        return self.call("cast", x, '"float32"')

    def dtype_of(self, x: str) -> str:
        """The dtype of the tensor `x`."""
        return f"{x}.dtype" if x.isidentifier() else f"({x}).dtype"
