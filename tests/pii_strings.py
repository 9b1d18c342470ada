"""Strings that hold personal data, and hard ones that only look like it: generated from a seed."""

from __future__ import annotations

import random
import string

from stages.text.kernels_secrets import KEY_SHAPES

NUM_EACH = 60
ALNUM = string.ascii_letters + string.digits
PHONES = (
    "+1 ### ### ####",
    "+1-###-###-####",
    "+1 (###) ###-####",
    "(###) ###-####",
    "###-###-####",
    "###.###.####",
    "1-###-###-####",
    "+44 20 7### ####",
    "+44 (0)20 7### ####",
    "+49 30 2######",
    "+49 (0)89/2###-##",
    "+33 1 ## ## ## ##",
    "01 4# ## ## ##",
    "030/2######",
    "089 / 2## ## ##",
    "(030) 2######",
    "020 7### ####",
    "0171-2######",
    "03-3###-####",
    "+81 3-3###-####",
    "(02) 9### ####",
    "+7 495 ###-##-##",
    "8 (495) ###-##-##",
    "(11) 9####-####",
    "+55 11 9####-####",
    "+86 138 #### ####",
    "+91 98### #####",
    "Tel: 9# ## ## ##",
    "Telefon 6## ## ## ##",
    "电话：138########",
    "phone: 555####",
    "Fax. 2## ####",
    "тел. 22-##-##-#",
    "+353 1 2## ####",
    "+4520######",
    "0049 30 2######",
)
NEGATIVES = {
    "email": (
        "user@host",
        "@handle",
        "icon@2x.png",
        "photo@3x.jpg",
        "a @ b.com",
        "bob@",
        "@x.com",
        "bob@.com",
        "bob@x",
        "react@18.2.0",
        "user@localhost",
        "you@example.com",
        "me@sub.example.org",
        "bob@-x.c",
        "name@x.y",
        "bob.@x.com",
        "10@5.50",
        "#@!.com",
        "@media (min-width: 3px)",
        "it@home.",
        "x@y.test",
    ),
    "phone": (
        "2019-11-25",
        "25.11.2019",
        "11/25/2019 10:30",
        "1999-2004",
        "12.05.2019 10:00",
        "1.234.567.890",
        "$1,234,567,890",
        "€ 1.234.567,00",
        "1 234 567 890",
        "123 456 789",
        "978-3-16-148410-0",
        "ISBN 0-306-40615-2",
        "ISSN 0317-8471",
        "v10.15.7",
        "10.15.7.1",
        "52.520008, 13.404954",
        "-33.8688 151.2093",
        "0.4155552671",
        "order 12345678",
        "No. 1234567890",
        "#415-555-2671",
        "10:30:45",
        "12-34-56",
        "3.14159265358979",
        "1e+12345678901",
        "C+12345678901",
        "415-555-26711",
        "2415-555-2671",
        "doi:10.1234/567.890.1234",
        "(2019) 123-4567-89",
        "+0 123 456 7890",
        "+28 123 456 789",
        "115-055-2671",
        "01.02.2003 10",
        "0.123 456 789",
        "0012-34567",
        "09:16:02 2022-12-01",
        "02 2022-12-01",
        "0089 123 456 789",
        "00 12 34 56 78 90",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
        "2023-24 2024-25",
        "192.168.100.200",
        "010.001.002.003",
        "SKU-030-1234567",
        "12 (3) 1234-1240",
        "45/2019/123456",
    ),
    "ipv4": (
        "1.2.3.4",
        "8.8.8.8",
        "v84.12.33.7",
        "version 84.12.33.7",
        "84.12.33.7.5",
        "Opera/84.12.33.7",
        "84.12.33.7-rc1",
        "192.168.1.10",
        "10.20.30.40",
        "127.0.0.1",
        "172.16.5.10",
        "255.255.255.0",
        "224.0.0.251",
        "203.0.113.77",
        "198.51.100.12",
        "192.0.2.14",
        "84.12.33.256",
        "84.012.33.7",
        "84.12.33",
        "284.12.33.7",
        "100.64.1.10",
        "169.254.10.10",
        "198.18.0.15",
        "x84.12.33.7",
        "84.12.33.7a",
        "ver. 84.12.33.7",
        "0.84.12.33.7",
    ),
    "ipv6": (
        "::1",
        "fe80::1:2:3",
        "2001:db8::1:2",
        "3fff:123::1:2",
        "fd12:3456:789a::1",
        "12:30:45",
        "std::vector",
        "x[2000::2]",
        "2001:0:1:2::3",
        "00:1a:2b:3c:4d:5e",
        "2a00:1450:4009",
        "2a00:1450::4009::1",
        "2a00:1450:12345::1",
        "ff02::1:2",
        "2024:10:25 12:30",
        "g2a00:1450::1:2",
        "2a00:1450:1:2:3:4:5:6:7",
        "abc::def",
        ":: :: ::",
    ),
    "card": (
        "4111 1111 1111 1112",
        "1234 5678 9012 3456",
        "9111111111111111",
        "4111-1111 1111-1111",
        "41111111111111",
        "x4111111111111111",
        "4111111111111111a",
        "4111111111111111.5",
        "/4111111111111111",
        "0044 0532 0130 0099",
        "3782-822463-10006",
        "20200101123045678",
        "1637020800000",
        "00000000000000",
        "411 1111 1111 1111 1",
    ),
    "iban": (
        "DE88370400440532013000",
        "DE8937040044053201300",
        "ZZ89370400440532013000",
        "de89370400440532013000",
        "XDE89370400440532013000",
        "DE89370400440532013000X",
        "DE89 37040044 0532013000",
        "GB82 WEST 1234 5698 7654 33",
        "EN60950",
        "ISO9001",
        "US64SVBKUS6S3300958879",
        "AT12 3456",
        "DE89-3704-0044-0532-0130-00",
    ),
    "api_key": (
        "AKIA",
        "AKIAXXXXXXXXXXXXXXXX",
        "ghp_" + "x" * 36,
        "sk-learn",
        "sk-" + "x" * 48,
        "eyJhbGciOiJIUzI1NiJ9",
        "AIzaShort",
        "hf_transfer_enabled_by_default",
        "npm_config_registry",
        "xoxb-your-token-here",
        "SG.abc.def",
        "sk_live_your_key",
        "task-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "ASIA-PACIFIC",
        "glpat-example",
        "akia" + "ABCDEFGH23456789",
        "xAKIAIOSFODNN7EXAMPLE",
    ),
    "private_key": (
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + "MIIBabcd" * 20 + "\n-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + "MIIBabcd" * 20 + "\n-----END CERTIFICATE-----",
        "-----END PRIVATE KEY-----\n" + "MIIBabcd" * 20 + "\n-----BEGIN PRIVATE KEY-----",
        "----- BEGIN PRIVATE KEY -----",
    ),
}
FRAMES = ("{}", "see {} there", "({})", "a\n{}\nb", "das war {}, ja", "这是 {} 。", "{}!", "«{}»")


def positives(seed: int = 0) -> list[tuple[str, str]]:
    """Pairs of a kind and a string of it, NUM_EACH of each kind, every format among them."""
    rng = random.Random(seed)
    makers = {
        "email": _email, "phone": _phone, "ipv4": _ipv4, "ipv6": _ipv6, "card": _card, "iban": _iban,
        "api_key": _api_key, "private_key": _private_key,
    }  # fmt: skip
    return [(kind, make(rng, i)) for kind, make in makers.items() for i in range(NUM_EACH)]


def negatives(seed: int = 0) -> list[tuple[str, str]]:
    """Pairs of a kind and a string that is none of it: the listed ones, and as many made from a seed."""
    rng = random.Random(seed)
    listed = [(kind, text) for kind, texts in NEGATIVES.items() for text in texts]
    made = [(kind, make(rng, i)) for kind, make in _NEARLY.items() for i in range(30)]
    return [(kind, framed(text, rng)) for kind, text in listed + made]


def framed(text: str, rng: random.Random) -> str:
    return rng.choice(FRAMES).format(text)


def _chars(rng: random.Random, alphabet: str, size: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(size))


def _email(rng: random.Random, _: int) -> str:
    local = rng.choice(("bob", "jane.doe", "o'brien", "x+tag", "a_b-c", "info", "jürgen", "иван", "4711"))
    host = rng.choice(
        ("gmail.com", "uni-köln.de", "почта.рф", "例子.广告", "mail.co.uk", "a.b.c.org", "x.xn--p1ai", "163.com")
    )
    return f"{local}@{host}"


def _phone(rng: random.Random, i: int) -> str:
    return "".join(rng.choice("23456789") if char == "#" else char for char in PHONES[i % len(PHONES)])


def _ipv4(rng: random.Random, _: int) -> str:
    first = rng.choice((5, 8, 23, 45, 84, 91, 104, 151, 185, 212))
    return f"{first}.{rng.randint(20, 250)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}"


def _ipv6(rng: random.Random, _: int) -> str:
    groups = [rng.choice(("2a00", "2606", "2A02", "2400", "2003"))] + [f"{rng.randint(1, 65535):x}" for _ in range(7)]
    hidden = rng.randint(0, 4)
    if not hidden:
        return ":".join(groups)
    at = rng.randint(2, 7 - hidden)
    return ":".join(groups[:at]) + "::" + ":".join(groups[at + hidden :])


def _card(rng: random.Random, _: int) -> str:
    prefix, size = rng.choice(
        (("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("6011", 16), ("36", 14), ("3528", 16), ("62", 19))
    )
    digits = prefix + _chars(rng, string.digits, size - len(prefix) - 1)
    total = sum(int(c) if i % 2 else sum(map(int, str(2 * int(c)))) for i, c in enumerate(digits[::-1]))
    digits += str(-total % 10)
    mark = rng.choice((" ", "-", ""))
    if size == 16:
        return mark.join(digits[i : i + 4] for i in range(0, 16, 4))
    return mark.join((digits[:4], digits[4:10], digits[10:])) if size < 16 else digits


def _iban(rng: random.Random, _: int) -> str:
    country, size = rng.choice(
        (("DE", 22), ("FR", 27), ("GB", 22), ("NO", 15), ("MT", 31), ("NL", 18), ("PL", 28), ("SA", 24))
    )
    body = _chars(rng, string.digits + (string.ascii_uppercase if country in ("GB", "MT", "NL") else ""), size - 4)
    check = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    whole = f"{country}{check:02}{body}"
    return whole if rng.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, size, 4))


def _api_key(rng: random.Random, i: int) -> str:
    prefix, _, _, parts = KEY_SHAPES[i % len(KEY_SHAPES)]
    upper = string.ascii_uppercase[:] + "234567"
    alphabet = (
        upper if prefix in ("AKIA", "ASIA") else "0123456789abcdef" if parts[0] in ((32, 32), (64, 64)) else ALNUM
    )
    return prefix + ".".join(_chars(rng, alphabet, least + (most - least) // 50) for least, most in parts)


def _private_key(rng: random.Random, _: int) -> str:
    label = rng.choice(
        ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
    )
    lines = [_chars(rng, ALNUM + "+/", 64) for _ in range(rng.randint(1, 20))]
    header = "Proc-Type: 4,ENCRYPTED\n\n" if rng.random() < 0.2 else ""
    return f"-----BEGIN {label}-----\n{header}" + "\n".join(lines) + f"\n-----END {label}-----"


def _nearly_card(rng: random.Random, i: int) -> str:
    card = _card(rng, i)
    return card[:-1] + str((int(card[-1]) + rng.randint(1, 9)) % 10)


def _nearly_iban(rng: random.Random, i: int) -> str:
    iban = _iban(rng, i)
    return iban[:2] + f"{(int(iban[2:4]) + rng.randint(1, 96)) % 97:02}" + iban[4:]


def _nearly_ipv4(rng: random.Random, i: int) -> str:
    return rng.choice(("v{}", "{}.3", "4.{}", "{}-beta", "version {}", "Chrome/{}")).format(_ipv4(rng, i))


def _nearly_phone(rng: random.Random, i: int) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1900, 2099)
    dates = (f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month}/{day}/{year} {day:02}:{month:02}")
    prices = (f"${year},{day:03},{month:03}.00", f"{year}.{month}.{day}", f"{year}-{year + 3}", f"{day:03} {year:04}")
    return rng.choice(dates + prices)


def _nearly_email(rng: random.Random, i: int) -> str:
    local = rng.choice(("bob", "jane.doe", "info"))
    return f"{local}@{rng.choice(('example.com', 'a.example', 'host', 'x.invalid', 'img.png', '-a.b', '.de', 'a.b'))}"


def _nearly_key(rng: random.Random, i: int) -> str:
    key = _api_key(rng, i)
    return rng.choice((key[:14].rstrip("."), "x" + key, key[:4] + "x" * (len(key) - 4)))


_NEARLY = {
    "card": _nearly_card,
    "iban": _nearly_iban,
    "ipv4": _nearly_ipv4,
    "phone": _nearly_phone,
    "email": _nearly_email,
    "api_key": _nearly_key,
}
