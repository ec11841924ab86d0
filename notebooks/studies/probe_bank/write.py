"""Write the probe bank that ships: 256 sentences of our own in each of eight strata.

Every sentence fills one of our own patterns with our own words; a fixed seed picks which. Run it
from the repository root; the same Python writes the same file.
"""

from __future__ import annotations

import csv
import itertools
import random
from pathlib import Path

OUT = Path("python/kinatlas/data/behavior/probes.csv")
PER_STRATUM = 256
GOOD = ["splendid", "reliable", "better than I had hoped", "a quiet joy", "worth every cent"]
BAD = ["dreadful", "a letdown", "worse than last year", "hardly usable", "a waste of an evening"]
PLAIN = [
    "about what one would expect",
    "neither here nor there",
    "ordinary",
    "new to me",
    "finished",
]

PATTERNS: dict[str, tuple[list[str], dict[str, list[str]]]] = {
    "products": (
        [
            "The {thing} is {verdict}.",
            "I bought this {thing} in {month} and it is {verdict}.",
            "After three weeks the {thing} turned out {verdict}, and I {reaction}.",
            "My neighbour says her {thing} is {verdict}; mine {fact}.",
            "{thing}: {verdict}!!",
        ],
        {
            "thing": ["kettle", "office chair", "rain jacket", "phone charger", "garden hose",
                      "desk lamp", "coffee grinder", "pair of headphones"],
            "month": ["March", "August", "December"],
            "verdict": GOOD + BAD + PLAIN,
            "reaction": ["sent it back", "ordered a second one", "told nobody", "kept the box"],
            "fact": ["weighs two kilos", "broke on Monday", "still works", "came without a manual"],
        },
    ),
    "food": (
        [
            "The {dish} was {verdict}.",
            "We waited {time} for the {dish}, and it was {verdict}.",
            "Would I order the {dish} again? {answer}",
            "{place} serves {dish} until {hour}.",
            "Stir the {dish} for {time}, then add the {extra}.",
        ],
        {
            "dish": ["lentil soup", "mushroom risotto", "fish pie", "rye bread", "plum cake",
                     "cold noodles"],
            "verdict": [*GOOD, *BAD, *PLAIN, "far too salty", "still warm from the oven"],
            "time": ["ten minutes", "almost an hour", "half a day"],
            "answer": ["Gladly.", "Not even for free.", "Perhaps, if nothing else is left."],
            "place": ["The corner bistro", "The station buffet", "Our canteen"],
            "hour": ["nine", "midnight", "half past three"],
            "extra": ["butter", "lemon peel", "last of the stock"],
        },
    ),
    "weather": (
        [
            "{when} it will be {sky} in the {region}.",
            "{sky} skies again; the {group} are {mood}.",
            "A {strength} wind from the {side}, {sky} towards evening.",
            "{when} the {region} had {amount} of rain, and the {group} were {mood}.",
        ],
        {
            "when": ["Tomorrow", "On Sunday", "Last night", "By noon"],
            "sky": ["grey", "clear", "stormy", "bright", "foggy"],
            "region": ["north", "valley", "harbour", "old town"],
            "group": ["farmers", "sailors", "children", "cyclists"],
            "mood": ["delighted", "worried", "soaked to the skin", "indifferent"],
            "strength": ["light", "biting", "howling"],
            "side": ["west", "sea", "hills"],
            "amount": ["a trace", "two days", "forty millimetres"],
        },
    ),
    "travel": (
        [
            "The {vehicle} to {town} leaves at {hour}.",
            "Our {vehicle} was {delay}, and the staff were {manner}.",
            "{town} in {season} is {verdict}.",
            "Is there a {vehicle} back from {town} after {hour}?",
            "We missed the {vehicle} and spent the night in {town}, which was {verdict}.",
        ],
        {
            "vehicle": ["ferry", "night train", "bus", "airport shuttle"],
            "town": ["Lindau", "Porto", "Tartu", "Galway", "Ioannina", "Bergen"],
            "hour": ["6:40", "eleven", "quarter past two"],
            "delay": ["on time for once", "two hours late", "cancelled without a word"],
            "manner": ["patient", "rude", "nowhere to be seen", "very kind about it"],
            "season": ["spring", "late autumn", "January"],
            "verdict": GOOD + BAD + PLAIN,
        },
    ),
    "work": (
        [
            "The {meeting} is moved to {day}; please bring the {paper}.",
            "{person} finished the {paper} {pace} and nobody {noticed}.",
            "I am {feeling} about the new {paper}.",
            "Could you {verb} the {paper} before {day}?",
            "Our {meeting} was {verdict}.",
        ],
        {
            "meeting": ["budget review", "site visit", "hand-over", "weekly call"],
            "day": ["Tuesday", "the holidays", "the end of the month"],
            "paper": ["tender", "shift plan", "test report", "invoice", "safety sheet"],
            "person": ["Amina", "The trainee", "Our auditor", "Mr Okafor"],
            "pace": ["ahead of time", "at the last minute", "after two reminders"],
            "noticed": ["thanked her", "complained", "read it"],
            "feeling": ["thrilled", "uneasy", "furious", "not at all sure"],
            "verb": ["check", "sign", "translate", "shred"],
            "verdict": GOOD + BAD + PLAIN,
        },
    ),
    "films": (
        [
            "A {kind} about {subject} that is {verdict}.",
            "The {part} alone makes this {kind} {verdict}.",
            "{subject} again, and yet the {part} {effect}.",
            "I left halfway through the {kind}; the {part} {effect}.",
            "Not {adverb} the {kind} the posters promise: {verdict}.",
        ],
        {
            "kind": ["comedy", "thriller", "documentary", "musical", "western"],
            "subject": ["a lighthouse keeper", "two rival bakers", "a stolen violin",
                        "life on a cargo ship", "the last tram driver"],
            "part": ["ending", "camera work", "dialogue", "score", "lead actress"],
            "effect": ["moved me to tears", "drags on", "saves the evening", "convinces nobody"],
            "adverb": ["quite", "remotely", "always"],
            "verdict": GOOD + BAD + PLAIN,
        },
    ),
    "news": (
        [
            "{actor} {decision} the {matter} on {day}.",
            "{number} people {action} over the {matter}, {source} reports.",
            "{actor} denies that the {matter} {decision2}.",
            "The {matter} could cost {number} jobs, warns {source}.",
        ],
        {
            "actor": ["The town council", "Parliament", "A regional court", "The ferry company"],
            "decision": ["approved", "rejected", "postponed", "quietly dropped"],
            "decision2": ["was rushed", "failed", "has been sold", "is over budget"],
            "matter": ["bridge repair", "school merger", "water price", "wind farm",
                       "stadium plan"],
            "day": ["Monday", "Friday evening", "the last day of the session"],
            "number": ["Twelve", "400", "Nearly 9,000"],
            "action": ["protested", "signed a petition", "celebrated", "lost power"],
            "source": ["the union", "a local paper", "the harbour office"],
        },
    ),
    "instructions": (
        [
            "{verb} the {part} {manner}, then {verb2} the {part2}.",
            "Why does the {part} {fault} when I {verb2} the {part2}?",
            "If the {part} should {fault}, do not {verb2} the {part2}.",
            "How many {part2}s does a {part} need?",
            "Error {code}: {part} not found. Please {verb2} the {part2}.",
        ],
        {
            "verb": ["Loosen", "Clean", "Replace", "Hold"],
            "verb2": ["restart", "unplug", "tighten", "press"],
            "part": ["filter", "valve", "printer", "left pedal", "router"],
            "part2": ["switch", "screw", "cable", "cover"],
            "manner": ["gently", "by hand", "with the small key", "twice"],
            "fault": ["leak", "overheat", "stay silent", "blink red"],
            "code": ["17", "404", "E-3"],
        },
    ),
}  # fmt: skip


def sentences(
    patterns: list[str], words: dict[str, list[str]], generator: random.Random
) -> list[str]:
    """Every pattern filled in every way, then an equal random share of each pattern."""
    chosen: set[str] = set()
    filled = []
    for pattern in patterns:
        slots = [name for name in words if "{" + name + "}" in pattern]
        ways = [
            pattern.format(**dict(zip(slots, own, strict=True)))
            for own in itertools.product(*(words[name] for name in slots))
        ]
        generator.shuffle(ways)
        filled.append([way[0].upper() + way[1:] for way in ways])
    for row in itertools.zip_longest(*filled):
        for sentence in row:
            if sentence is not None and len(chosen) < PER_STRATUM:
                chosen.add(sentence)
    return sorted(chosen)


def main() -> None:
    """Write the file."""
    generator = random.Random(20261)
    rows = []
    for stratum, (patterns, words) in PATTERNS.items():
        own = sentences(patterns, words, generator)
        assert len(own) == PER_STRATUM, (stratum, len(own))
        rows += [(stratum, sentence) for sentence in own]
    with OUT.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("stratum", "text"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
