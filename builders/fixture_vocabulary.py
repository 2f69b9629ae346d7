"""The WordPiece vocabulary of the fixture models.

It holds the letters of the scripts in the corpus, in the form in which an uncased BERT tokenizer
leaves them (lowercase, decomposed, without combining marks), so that texts in those scripts do not
all become `[UNK]`; and common English words and parts of words, so that tokens differ in length.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from itertools import chain, islice, product

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens; their places in this tuple are their ids."""

CONTINUATION = "##"
"""What marks a token that continues a word."""

NATURAL = 1724
"""How many tokens were chosen, rather than filled in."""


def vocabulary(size: int) -> tuple[str, ...]:
    """Return the first `size` tokens; a token's place is its id.

    NATURAL of them come first; parts of three letters fill the rest, for a model whose shape asks
    for more.
    """
    return tuple(islice(dict.fromkeys(chain(_natural(), _parts_of_three_letters())), size))


def _natural() -> Iterator[str]:
    yield from SPECIAL
    yield from string.punctuation
    yield from _characters(_PUNCTUATION)
    yield from _IDEOGRAPHS
    for letter in chain(string.digits, string.ascii_lowercase, _KANA, _characters(_LETTERS)):
        yield letter
        yield CONTINUATION + letter
    for letter in _characters(_ONLY_INSIDE_WORDS):
        yield CONTINUATION + letter
    yield from _WORDS.split()
    for part in _PARTS.split():
        yield CONTINUATION + part


def _characters(ranges: tuple[range, ...]) -> Iterator[str]:
    return (chr(code) for codes in ranges for code in codes)


def _parts_of_three_letters() -> Iterator[str]:
    parts = ["".join(letters) for letters in product(string.ascii_lowercase, repeat=3)]
    yield from (CONTINUATION + part for part in parts)
    yield from parts


_PUNCTUATION = (
    range(0xA1, 0xA2),  # inverted exclamation mark
    range(0xAB, 0xAC),  # quotation marks of French
    range(0xBB, 0xBC),
    range(0xBF, 0xC0),  # inverted question mark
    range(0x60C, 0x60D),  # Arabic comma
    range(0x61F, 0x620),  # Arabic question mark
    range(0x964, 0x965),  # danda
    range(0x2013, 0x2015),  # dashes
    range(0x2018, 0x201F),  # quotation marks of English and German
    range(0x2026, 0x2027),  # three dots
    range(0x3001, 0x3003),  # ideographic comma and full stop
    range(0xFF0C, 0xFF0D),  # full-width comma
)
"""A mark of punctuation is a word of its own, like an ideograph."""

_LETTERS = (
    range(0xDF, 0xE0),  # Latin letters without a decomposition
    range(0xE6, 0xE7),
    range(0xF0, 0xF1),
    range(0xF8, 0xF9),
    range(0xFE, 0xFF),
    range(0x111, 0x112),
    range(0x131, 0x132),
    range(0x142, 0x143),
    range(0x153, 0x154),
    range(0x3B1, 0x3CA),  # Greek
    range(0x430, 0x439),  # Cyrillic
    range(0x43A, 0x450),
    range(0x454, 0x457),
    range(0x491, 0x492),
    range(0x5D0, 0x5EB),  # Hebrew
    range(0x621, 0x622),  # Arabic
    range(0x627, 0x63B),
    range(0x641, 0x64B),
    range(0x660, 0x66A),
    range(0x67E, 0x67F),  # Persian
    range(0x686, 0x687),
    range(0x698, 0x699),
    range(0x6A9, 0x6AA),
    range(0x6AF, 0x6B0),
    range(0x6CC, 0x6CD),
    range(0x905, 0x915),  # Devanagari
    range(0x915, 0x929),
    range(0x92A, 0x931),
    range(0x932, 0x934),
    range(0x935, 0x93A),
    range(0x93E, 0x941),
    range(0x94B, 0x94D),
    range(0xE01, 0xE31),  # Thai
    range(0xE32, 0xE34),
    range(0xE40, 0xE45),
    range(0x1100, 0x1113),  # Hangul: first consonants
    range(0xA3, 0xA4),  # currencies and signs
    range(0xA5, 0xA6),
    range(0xB0, 0xB2),
    range(0xB5, 0xB6),
    range(0xD7, 0xD8),
    range(0x20AC, 0x20AD),
    range(0x2665, 0x2666),  # hearts
    range(0x2764, 0x2765),
    range(0x1F1E6, 0x1F200),  # letters of flags
    range(0x1F389, 0x1F38A),  # party popper
    range(0x1F3FB, 0x1F400),  # skin tones
    range(0x1F44B, 0x1F44E),  # hands
    range(0x1F468, 0x1F46A),  # man, woman
    range(0x1F4BB, 0x1F4BC),  # laptop
    range(0x1F527, 0x1F528),  # wrench
    range(0x1F600, 0x1F610),  # faces
    range(0x1F64F, 0x1F650),  # folded hands
    range(0x1F680, 0x1F681),  # rocket
)
"""A letter, digit or sign begins a word or continues one."""

_KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねの"
    "はひふへほまみむめもやゆよらりるれろわをんっゃゅょ"
    "アイウエオカキクケコサシスセソタチツテトナニヌネノ"
    "ハヒフヘホマミムメモヤユヨラリルレロワヲンッャュョァィェォー"
)
"""Without voice marks, which are stripped like accents."""

_ONLY_INSIDE_WORDS = (
    range(0x20E3, 0x20E4),  # key cap
    range(0x1161, 0x1176),  # Hangul: vowels
    range(0x11A8, 0x11C3),  # Hangul: last consonants
)

_IDEOGRAPHS = (
    "一七万三上下不中么九也书了二五亮人什今他以们价休位何使候停像先八六円写冬几出分到"
    "刹前動包北十千午南历友发受口古只台史右名后员和喫四固国图土在坏坐块城声夏多夜大天"
    "头女好子学孩安定家小少就层山川左己已市常年店度座建开很後得心快总息成户扇手才打把"
    "报拉损推搬新方旁日早时春是時晚晩書最月有期木末本村条来東构架查桌检業楼母毎每气水"
    "没河流涨满火灯点然營父版理生用田男町白百的目直看着石秋空窗立站第管箱纸线经老背胎"
    "能自茶菜行西見言話語让论请谈赤足身車车轮边过近进连這週道那量金镜长間门队阶雨電青"
    "靠面食飲馆駅高鲜黒點"
)

_WORDS = """
above after again all also although an and any are as at away back backup bar be because been
before best better between board book both bring built but by call can cat city class
classification clear close clustering code coffee cold come container could count day def degrees
do document does dog done doors down during each earth embedding empty end even every example false
far few file find fire first fish five follow for form fresh from full garden get go good great
green had half hand harbour has have he her here hill him his hour house how if image in index into
is island it its just keep kettle key know last leave left less light like line list little long
look lost low made make many market may me mean might minute model month moon more morning most
much must my name near need never new next night nine no north not note now number of off office
old on once one only open or order other our out over own part party pay people place plain port
power print put query question read red return right road room run said salt same sand say sea
search second see select self sentence server she should since six small so some start step stone
store such summer sun table take tea tell ten text than thanks that the their them then there these
they thing think this those three through time to token too town train twelve two under unit until
up use vector very wait wall want warm was water way we week well what when where which white who
will wind winter with without word work world would write year you your
"""

_PARTS = """
able age al ally an ance and ant ar ary ate ated ation ch ck ding do ed ee el en ence ent er ers
es est et ful ge gen gh ia ial ible ic ich ie ier ies ile in ine ing ings ion ions ious is ise ish
ism ist ite ity ive ize ke le less ll lly ly man ment ments ms nd ness ng nt ol om on one or ory
ous ow ra re ri ro rs ry se sh ship sion st ste sts ta te ted ten ter th ther ting tion tions to
tor tr ts tter ty ub ul un unt ur ure us ut ve ver vers vi ward way
"""
