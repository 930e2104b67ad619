"""Cleaning steps: functions from text to text.

Every step takes linear time, even for hostile input. Most return at once if there is nothing to clean, so that a column
of a million short rows takes seconds. All except `normalize_unicode` are idempotent.
"""

import html
import re
from collections.abc import Callable
from itertools import pairwise

import regex  # knows Unicode's classes, which `re` does not; transformers brings it

from kickbert.utils.extras import require

Step = Callable[[str], str]

# Browsers show these elements on separate lines, so their text must not run into the next word.
BLOCKS = (
    "address,article,aside,blockquote,br,caption,dd,div,dl,dt,figcaption,figure,footer,form,h1,h2,h3,h4,h5,h6,header,"
    "hr,li,main,nav,ol,option,p,pre,section,table,tbody,td,tfoot,th,thead,title,tr,ul"
)
SILENT = ["script", "style", "noscript", "template", "head > meta", "head > link"]
MAX_TAGS = 2_000  # parsed at once
ROUNDS = 4  # of unescaping HTML that was escaped several times; real exports need one or two
_TAG = re.compile(r"<[a-zA-Z/!?]")
_AMPERSANDS = re.compile(r"&(?:amp;)+")
# A bare domain counts as an address with one of these endings in lowercase, or with a path: "bad.So I left" is
# a missing space, not a website in Somalia.
_DOMAINS = "com|org|net|edu|gov|mil|int|info|biz|io|co|app|dev|ai|me|tv|uk|de|fr|eu|ca|au|us|ly"
_LINK = regex.compile(
    r"(?i:\b(?:https?|ftp|file)://\S+|\bwww\.\S+)"
    r"|(?<![\w@.-])(?:[\w-]++\.){1,8}(?:[^\W\d_]{2,}+(?::\d+)?/\S*|(?<=\.)(?:" + _DOMAINS + r")\b(?![\w@]|[.-]\w))",
)
_ONE = (
    r"(?:[0-9#*]\uFE0F?\u20E3|\p{RI}{2}"
    r"|(?:\p{Emoji_Presentation}|[\p{Extended_Pictographic}--[©®™‼⁉〰〽㊗㊙]]|[©®™‼⁉〰〽㊗㊙ℹ](?=\uFE0F)|\p{Emoji}(?=\uFE0F))"
    r"(?:\p{Emoji_Modifier}|\uFE0F|[\U000E0020-\U000E007E]+\U000E007F)*)"
)
_RUN = rf"(?:{_ONE}(?:\u200D{_ONE})*+[\u200D\uFE0F]*)+"
_EMOJI = regex.compile(rf"(?V1)^(?:{_RUN} ?)+| ?{_RUN}")
_PUNCTUATION = regex.compile(r"(?V1)(?<![\p{L}\p{M}])['’]|['’](?!\p{L})|[[\p{P}$+<=>^`|~]--['’]]")
_WORD = regex.compile(r"(?<!\w)[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*(?!\w)")
_PLAIN = re.compile(r"[\t\n -~]*")  # what ftfy leaves as it is: ASCII without control characters


def convert_to_lowercase(text: str) -> str:
    """Convert to lowercase.

    >>> convert_to_lowercase("A Lamp")
    'a lamp'
    """
    return text.lower()


def remove_whitespace(text: str) -> str:
    """Replace each run of white space by one space, and remove it at the ends.

    >>> remove_whitespace(" a\\n\\n lamp\\t")
    'a lamp'
    """
    return " ".join(text.split())


def remove_punctuation(text: str) -> str:
    """Remove punctuation and ASCII symbols; the apostrophe of a contraction stays.

    >>> remove_punctuation("Don't stop -- it's “well-made”, isn't it?")
    "Don't stop it's well made isn't it"
    """
    return remove_whitespace(_PUNCTUATION.sub(" ", text))


def remove_html(text: str) -> str:
    """Keep the text that a browser would show: no tags, no scripts, entities decoded. lexbor parses the HTML.

    Text that was escaped several times is unescaped until nothing changes, at most four times. "3 < 5" stays as it is,
    and a non-breaking space (&nbsp;) becomes a space.

    >>> remove_html("<p>Light &amp; dark</p><p>a <b>l</b>amp</p><script>x()</script>")
    'Light & dark a lamp'
    """
    for _ in range(ROUNDS):
        if _TAG.search(text):
            new = _shown(text)
        elif "&" in text:
            new = html.unescape(_AMPERSANDS.sub("&", text)).replace("\xa0", " ")
        else:
            return text
        if new == text:
            return text
        text = new
    return text


def _shown(text: str) -> str:
    if text.count("<") > MAX_TAGS:  # HTML's rules for open elements take time quadratic in their depth
        cuts = [tag.start() for tag in _TAG.finditer(text)][::MAX_TAGS]
        return " ".join(_shown(text[a:b]) for a, b in pairwise([0, *cuts[1:], len(text)]))
    require("selectolax", extra="clean")
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    tree.strip_tags(SILENT)
    for node in tree.css(BLOCKS):
        node.insert_before(" ")
        node.insert_after(" ")
    return tree.root.text(deep=True).replace("\xa0", " ").strip() if tree.root is not None else ""


def remove_emoji(text: str) -> str:
    """Remove emoji, including sequences with joiners, skin tones, flags and keycaps; words on both sides stay apart.

    Emoji are those of Unicode's list (UTS #51, section 1.4.9); "©" and "™" only if they are written as emoji.

    >>> remove_emoji("so good👍🏽 a family 👨‍👩‍👧!")
    'so good a family !'
    """
    return text if text.isascii() else _EMOJI.sub(_gap, text)


def _gap(emoji: regex.Match) -> str:
    """Return a space if two words would run together."""
    text = emoji.string
    start, end = emoji.span()
    inside = start > 0 and end < len(text)
    return " " if inside and not text[start - 1].isspace() and not text[end].isspace() else ""


def remove_http(text: str) -> str:
    """Remove web addresses: with a scheme, with www., or bare domains with a path or a well-known ending.

    Punctuation at the end of the sentence stays, and so does a bracket that was opened before the address.

    >>> remove_http("See https://a.example/x?y=1, or (www.b.example) and kickstarter.com.")
    'See , or () and .'
    """
    if "." not in text and "://" not in text:
        return text
    return " ".join(_LINK.sub(_after, word) if "." in word or "://" in word else word for word in text.split(" "))


def _after(match: regex.Match) -> str:
    """Return punctuation at the end of a link that is not part of it."""
    link = match[0]
    end, spare = len(link), link.count(")") - link.count("(")
    while end and link[end - 1] in ".,;:!?'\"”’»)]}>":
        if link[end - 1] == ")":
            if spare <= 0:  # it was opened within the link
                break
            spare -= 1
        end -= 1
    return link[end:]


def discard_non_alpha(text: str) -> str:
    """Keep only words made of letters, with apostrophes inside: no numbers, codes or punctuation.

    >>> discard_non_alpha("Room 101: don't use v2.0 of snake_case, please")
    "Room don't use of please"
    """
    return " ".join(_WORD.findall(text))


def normalize_unicode(text: str) -> str:
    """Repair mojibake, normalize to NFC, straighten quotes and remove control characters, with ftfy.

    >>> normalize_unicode("CafÃ© “noir”")
    'Café "noir"'
    """
    if _PLAIN.fullmatch(text):
        return text
    require("ftfy", extra="clean")
    import ftfy

    # `remove_html` decodes entities; ftfy would do it one level at a time, which takes hours for a hostile cell.
    return ftfy.fix_text(text, unescape_html=False)


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        convert_to_lowercase,
        discard_non_alpha,
        normalize_unicode,
        remove_emoji,
        remove_html,
        remove_http,
        remove_punctuation,
        remove_whitespace,
    )
}
