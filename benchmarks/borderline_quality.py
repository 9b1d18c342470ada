"""Twenty documents on the border of quality, made by us, and what the judge says of them; see benchmarks.borderline."""

from __future__ import annotations

QUALITY: tuple[tuple[str, str], ...] = (
    (
        "encyclopaedic",
        "The lesser marsh wren is a small brown bird of reed beds. It feeds on insects, which it picks from "
        "stems close to the water, and raises two broods a year. Its range has shrunk by about a third since "
        "1960, mainly because of drainage.",
    ),
    (
        "the same, in a chat",
        "so there is this tiny brown bird in the reeds right?? eats bugs n stuff lol. like 2 broods a yr i "
        "think... anyway they r getting rarer cuz ppl drain everything :( so sad",
    ),
    (
        "the same, shouting",
        "THE LESSER MARSH WREN IS A SMALL BROWN BIRD OF REED BEDS!!! IT FEEDS ON INSECTS, WHICH IT PICKS FROM "
        "STEMS CLOSE TO THE WATER, AND RAISES TWO BROODS A YEAR!!! SHARE THIS WITH EVERYONE YOU KNOW!!!",
    ),
    (
        "the same, a list of facts",
        "Lesser marsh wren\n- small, brown\n- reed beds\n- insects\n- two broods\n- range: minus 33 % since 1960",
    ),
    (
        "the same, German",
        "Der Kleine Sumpfzaunkönig, ein kleiner brauner Vogel, bewohnt Röhrichte. Er frisst Insekten, die er "
        "dicht über dem Wasser von den Halmen pickt, und zieht zwei Bruten im Jahr auf. Sein Gebiet schrumpfte "
        "seit 1960, hauptsächlich durch Entwässerung, um etwa ein Drittel.",
    ),
    (
        "the same, Chinese",
        "小沼泽鹪鹩是一种生活在芦苇丛中的棕色小鸟。它以昆虫为食，从靠近水面的茎秆上啄取，每年繁殖两窝。自19"
        "60年以来，主要由于排水，其分布范围缩小了约三分之一。",
    ),
    ("news headline", "Parliament rejects budget for the second time in a year"),
    ("clickbait headline", "You Won't Believe What This Tiny Bird Does When Nobody Is Watching"),
    (
        "menu",
        "Home\nNews\nSport\nWeather\nSign In\nSubscribe Now\nPrivacy Policy\nTerms Of Use\nContact Us\nAdvertise "
        "With Us",
    ),
    (
        "cookie notice",
        "We use cookies to give you the best experience. By clicking Accept All you agree to the storing of "
        "cookies on your device. Manage Preferences. Accept All. Reject All.",
    ),
    (
        "recipe",
        "Mix the flour, the salt and the butter with your fingers until the dough holds together. Rest it in a "
        "cold place for an hour. Then roll it out, line the tin with it, and bake it blind for twenty minutes at "
        "180 degrees.",
    ),
    (
        "product page",
        "Men's Trail Shoe GTX 300\n$129.99 $89.99 SAVE 30%\n★★★★☆ (214)\nIn Stock. Free Returns\nSize: 8 9 10 "
        "11\nAdd to Cart\nBuy Now",
    ),
    (
        "product review, careful",
        "I have worn these shoes for two years, mostly on wet forest paths. The sole still grips, although the "
        "heel has worn down on the outside. Water gets in at the tongue after about an hour of rain, which the "
        "older model did not allow.",
    ),
    (
        "forum answer, expert",
        "You don't need to drain the whole loop. Close the valve at the return, open the bleeder until the hiss "
        "stops, and top up to 1.5 bar. If the pressure drops again within a week, it's the expansion vessel: "
        "check it with a tyre gauge.",
    ),
    (
        "documentation with code",
        "Use `open()` to read a file. It returns a file object:\n\n    with open(path) as file:\n        text = "
        "file.read()\n\nIf the file is missing, `FileNotFoundError` is raised. Pass `encoding='utf-8'` unless "
        "you know better.",
    ),
    (
        "fluent advertisement",
        "Our experienced team combines modern technology with a passion for detail. Whether you are planning a "
        "small event or an international conference, we offer flexible solutions that are tailored to your needs.",
    ),
    (
        "fluent nonsense",
        "The committee of rivers decided, in the absence of Thursday, that every copper window should be "
        "grateful. Their report, which was widely eaten, remains the standard account of how bridges forgive "
        "each other.",
    ),
    (
        "dialect, a story",
        "My granny aye said the sea gies and the sea claims, and she kent fine what she wis on aboot, for it "
        "took her faither and twa brithers the same winter.",
    ),
    (
        "poem",
        "The kettle sings, the window weeps,\nthe garden under water sleeps,\nand no one comes, and no one "
        "goes,\nand slowly in the dark it snows.",
    ),
    (
        "sports table",
        "Pos Team P W D L Pts\n1 Aston 10 8 1 1 25\n2 Berwick 10 7 2 1 23\n3 Calder 10 6 2 2 20\n4 Dunmore 10 4 4 2 16",
    ),
)


def quality_table() -> str:
    """Every document with the scores of quality."""
    from stages.contract import run_stage
    from stages.heuristics.fineweb import FineWeb
    from stages.heuristics.gopher import Gopher
    from stages.language import Language
    from stages.quality import Quality
    from stages.text.batch import TextBatch

    batch = TextBatch.from_texts([text for _, text in QUALITY])
    for stage in (Language(), Gopher(), FineWeb()):
        batch, _ = run_stage(stage, batch)
    judge = Quality()
    _, columns = run_stage(judge, batch, judge.fit(batch))
    lines = ["| document | text | `classifier_score` | `feature_score` | `score` |", "|---|---|---|---|---|"]
    for i, (name, text) in enumerate(QUALITY):
        scores = [columns[key][i].as_py() for key in ("classifier_score", "feature_score", "score")]
        plain = text.replace("\n", " ⏎ ").replace("|", "\\|")
        short = plain if len(plain) <= 72 else f"{plain[:70]} …"
        cells = " | ".join("–" if score is None else f"{score:.2f}" for score in scores)
        lines.append(f"| {name} | {short} | {cells} |")
    return "\n".join(lines)
