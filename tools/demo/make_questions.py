#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write models/demo/questions.txt: every ordered pair of pairs of each relation below.

The form is word2vec's: ": section", then "a b c d" lines that ask what is to c as b is to a. The
pairs were chosen for words that English prose before 1928 uses often.

    tools/demo/make_questions.py > models/demo/questions.txt
"""

RELATIONS = {
    "family": "man woman, boy girl, brother sister, father mother, son daughter, husband wife, "
              "king queen, uncle aunt, nephew niece, he she, gentleman lady, prince princess",
    "gram-comparative": "good better, great greater, long longer, strong stronger, young younger, "
                        "old older, high higher, deep deeper, cold colder, bright brighter",
    "gram-superlative": "good best, great greatest, old oldest, young youngest, high highest, "
                        "strong strongest, deep deepest, long longest, near nearest",
    "gram-plural": "man men, woman women, child children, eye eyes, hand hands, house houses, "
                   "door doors, word words, year years, tree trees, horse horses",
    "gram-past-tense": "go went, come came, see saw, take took, give gave, know knew, think thought, "
                       "say said, find found, speak spoke, write wrote, stand stood",
    "gram-opposite": "happy unhappy, possible impossible, known unknown, certain uncertain, "
                     "pleasant unpleasant, able unable, willing unwilling, common uncommon",
}


def main():
    for name, text in RELATIONS.items():
        pairs = [pair.split() for pair in text.split(", ")]
        print(f": {name}")
        for a, b in pairs:
            for c, d in pairs:
                if (a, b) != (c, d):
                    print(a, b, c, d)


if __name__ == "__main__":
    main()
