"""A text drawn on a page, and a picture that is read to the size of one: with Pillow, in grey or in colour.

A page is white and the ink black. A text is wrapped at spaces, a word that is wider than the page within; what does
not fit below is cut, and whoever draws is told. A picture keeps its proportions, and white fills the rest.
"""

import bisect
import io
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

PAPER, INK = 255, 0
PLAIN = {"–": "-", "—": "-", "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "ł": "l", "€": "EUR"}
NOBODY_S = "\U0010fffe"  # a character that no font has: what is drawn for it stands for all that are missing
MOST_PIXELS = 100_000_000  # of a picture to read: a small file may say that it is larger than the memory


class Layout(NamedTuple):
    """A text as it stands on a page: its lines, whether there was more, and whether the font lacks some of it."""

    lines: list[str]
    cut: bool
    boxed: bool


@dataclass(frozen=True)
class Page:
    """The size of a page in pixels, and how texts are set on it. ValueError where no line fits on it."""

    height: int
    width: int
    font_size: int  # pixels
    font: str | None = None  # a file (.ttf, .otf); None: Pillow's own, which has the letters of English alone
    grid: int | None = None  # characters stand in cells so wide, as on a typewriter; None: as the font has them
    channels: int = 1  # 1: grey; 3: red, green, blue

    def __post_init__(self) -> None:
        if not self.rows or self.wide("m") > self.width:
            raise ValueError(
                f"no line of recipe.font_size={self.font_size} fits on a page of recipe.height={self.height} and "
                f"recipe.width={self.width}: a letter takes {self.line} x {math.ceil(self.wide('m'))} pixels"
            )

    @property
    def mode(self) -> str:
        """The kind of picture, in Pillow's words."""
        return "L" if self.channels == 1 else "RGB"

    @cached_property
    def typeface(self) -> ImageFont.FreeTypeFont:
        if self.font is None:
            return ImageFont.load_default(self.font_size)  # type: ignore[return-value]
        try:
            return ImageFont.truetype(self.font, self.font_size)
        except OSError as error:
            raise ValueError(f"recipe.font={self.font}: no font that can be read ({error})") from None

    @cached_property
    def line(self) -> int:
        """The height of a line."""
        return sum(self.typeface.getmetrics())

    @property
    def rows(self) -> int:
        return self.height // self.line

    @cached_property
    def missing(self) -> bytes:
        """What the font draws for a character that it does not have."""
        return bytes(self.typeface.getmask(NOBODY_S))

    @cached_property
    def glyphs(self) -> dict[str, tuple[str, bool]]:
        """The characters met so far: what is drawn for each, and whether that is the box of a missing one."""
        return {}

    def glyph(self, character: str) -> tuple[str, bool]:
        """Return what is drawn for a character, where the font has not é an e, and whether that is but a box."""
        if character not in self.glyphs:
            letters = unicodedata.normalize("NFKD", PLAIN.get(character, character))
            plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
            choice = next((one for one in (character, plain) if one and all(map(self.has, one))), None)
            self.glyphs[character] = (choice or character, choice is None)
        return self.glyphs[character]

    def has(self, character: str) -> bool:
        """Tell whether the font has a character."""
        return character == " " or bytes(self.typeface.getmask(character)) != self.missing

    def wide(self, text: str) -> int:
        """Return the width of a text on one line."""
        return len(text) * self.grid if self.grid else math.ceil(self.typeface.getlength(text))

    def layout(self, text: str) -> Layout:
        """Set a text: as many words to a line as fit, as many lines as fit on the page."""
        lines = [""]
        for word in self.words(text):
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if self.wide(longer) <= self.width:
                lines[-1] = longer
            elif len(lines) < self.rows:
                lines.append(word)
            else:
                return Layout(lines, cut=True, boxed=self.boxes(lines))
        return Layout(lines, cut=False, boxed=self.boxes(lines))

    def boxes(self, lines: list[str]) -> bool:
        """Tell whether a character stands there that the font has not."""
        return any(self.glyph(character)[1] for character in set("".join(lines)))

    def words(self, text: str) -> Iterator[str]:
        """Yield the words of a text, as they are drawn, in parts that are no wider than the page."""
        for word in text.split():
            part = word[: self.rows * self.width + 1]  # more never fits: a letter takes a pixel at least
            left = "".join(self.glyph(character)[0] for character in part)
            while left:
                lengths = range(1, min(len(left), self.width) + 1)
                taken = max(1, bisect.bisect_right(lengths, self.width, key=lambda length: self.wide(left[:length])))
                yield left[:taken]
                left = left[taken:]

    def draw(self, layout: Layout) -> Image.Image:
        """Draw a text."""
        picture = Image.new(self.mode, (self.width, self.height), self.paper)
        pen = ImageDraw.Draw(picture)
        for row, line in enumerate(layout.lines):
            if not self.grid:
                pen.text((0, row * self.line), line, fill=self.ink, font=self.typeface)
                continue
            for column, character in enumerate(line):
                middle = ((column + 0.5) * self.grid, row * self.line)
                pen.text(middle, character, fill=self.ink, font=self.typeface, anchor="ma")
        return picture

    @property
    def paper(self) -> int | tuple[int, ...]:
        return PAPER if self.channels == 1 else (PAPER,) * self.channels

    @property
    def ink(self) -> int | tuple[int, ...]:
        return INK if self.channels == 1 else (INK,) * self.channels

    def read(self, data: bytes, name: str) -> Image.Image:
        """Read a picture from a file's bytes, as large as fits the page; ValueError, with its name, for no picture."""
        try:
            picture: Image.Image = Image.open(io.BytesIO(data))
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{name}: {picture.width} x {picture.height} pixels are more than {MOST_PIXELS:,}")
            if picture.mode == "F":
                raise ValueError(f"{name}: its pixels are 32-bit floats, and what is white among them is not known")
            picture.draft(self.mode, (self.width, self.height))  # a JPEG is decoded at a fraction of its size
            picture = on_paper(ImageOps.exif_transpose(picture)).convert(self.mode)
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{name}: no picture that can be read ({error})") from None
        return ImageOps.pad(picture, (self.width, self.height), color=self.paper)


def on_paper(picture: Image.Image) -> Image.Image:
    """Return a picture with white where it is transparent."""
    if not picture.has_transparency_data:
        if picture.mode.startswith("I"):  # 16 bits a pixel
            return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        return picture
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
