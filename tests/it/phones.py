"""Generated phone numbers, spelled in several ways, with what Google's library makes of them.

Prints lines of three columns: the field (people, whatsapp, both), the text, and the digits, or - for none. Where hookbridge's
form is not the library's, docs/phones.md says so: Brazil's ninth digit, Mexico's 1, Argentina's 9, landlines of 14 digits.
"""

import random
import sys

import phonenumbers as lib
from phonenumbers import PhoneNumberFormat as Form
from phonenumbers import PhoneNumberType as Type

BRAZIL_AREAS = [
    *range(11, 20), 21, 22, 24, 27, 28, *range(31, 36), 37, 38, *range(41, 50), 51, 53, 54, 55,
    *range(61, 70), 71, 73, 74, 75, 77, 79, *range(81, 90), *range(91, 100),
]
MOBILE = (Type.MOBILE, Type.FIXED_LINE_OR_MOBILE)
chance = random.Random(sys.argv[1])


def with_ninth_digit(national):
    return national[:2] + "9" + national[2:] if len(national) == 10 and national[0] != "0" and national[2] in "6789" else national


def judged(digits):
    """The library's number for a whole number, and its form here."""
    if digits.startswith("55"):
        digits = "55" + with_ninth_digit(digits[2:])
    if digits.startswith("521") and len(digits) == 13:
        digits = "52" + digits[3:]
    try:
        number = lib.parse("+" + digits)
    except lib.NumberParseException:
        return None, None
    if not lib.is_valid_number(number):
        return None, None
    # Of San Marino and Madagascar the library adds an area code.
    if number.country_code != 54 and not digits.endswith(str(number.national_number)):
        return None, None
    form = lib.format_number(number, Form.E164)[1:]
    if form.startswith("549") and len(form) == 13:
        form = "54" + form[3:]
    return number, form


def put(field, text, form):
    print(field, text, form or "-", sep="\t")


def is_local_too(digits):
    """Whether they are a Brazilian number without its country code; the library would take off the 90 of collect calls."""
    return judged("55" + digits)[1] == "55" + with_ninth_digit(digits)


def spell(number, form):
    """One valid number in all its spellings."""
    digits = lib.format_number(number, Form.E164)[1:]
    kind = lib.number_type(number)
    doubtful = len(digits) >= 14 and kind not in MOBILE
    known = None if doubtful else form
    put("both", lib.format_number(number, Form.INTERNATIONAL), known)
    put("both", lib.format_number(number, Form.E164), known)
    put("both", lib.format_number(number, Form.RFC3966) + ";ext=12", known)
    put("both", digits + chance.choice(["@s.whatsapp.net", "_1:3@S.WHATSAPP.NET", ".0:12@s.whatsapp.net", "@c.us"]), known)
    bare = None if len(digits) >= 13 and kind not in MOBILE and number.country_code != 55 else form
    if is_local_too(digits):
        bare = None
    put("whatsapp", digits, bare)


def examples():
    """Numbers of each kind of each country, and others like them."""
    for region in sorted(lib.SUPPORTED_REGIONS):
        for kind in (Type.FIXED_LINE, Type.MOBILE, Type.TOLL_FREE, Type.VOIP, Type.SHARED_COST, Type.PREMIUM_RATE):
            example = lib.example_number_for_type(region, kind)
            if example is None:
                continue
            digits = lib.format_number(example, Form.E164)[1:]
            for _ in range(4):
                number, form = judged(digits)
                if number is not None:
                    spell(number, form)
                digits = digits[:-5] + "".join(chance.choices("0123456789", k=5))


def brazilian():
    for area in BRAZIL_AREAS:
        for first in "9923456789":
            subscriber = first + "".join(chance.choices("0123456789", k=7))
            if first == "9" and chance.random() < 0.5:
                subscriber = "9" + subscriber
            number, form = judged(f"55{area}{subscriber}")
            put("both", f"({area}) {subscriber[:-4]}-{subscriber[-4:]}", form)
            put("both", f"0 {chance.choice([12, 14, 15, 21, 31, 41])} {area} {subscriber}", form)
            put("people", f"{area}{subscriber}", form)
            if number is not None:
                spell(number, form)


def anything():
    """Whole numbers that may be valid, or not."""
    codes = sorted(lib.COUNTRY_CODE_TO_REGION_CODE)
    for _ in range(6000):
        code = chance.choice(codes + [55] * 50)
        digits = str(code) + str(chance.randrange(1, 10)) + "".join(chance.choices("0123456789", k=chance.randrange(5, 11)))
        number, form = judged(digits)
        if number is not None and len(digits) >= 14 and lib.number_type(number) not in MOBILE:
            form = None
        put("both", "+" + digits, form)


examples()
brazilian()
anything()
