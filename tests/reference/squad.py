"""SQuAD's exact match and F1, written out slowly, one character and one word at a time."""

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


def words(text: str) -> list[str]:
    kept = ""
    for character in text.lower():
        if character not in PUNCTUATION:
            kept += character
    found, word = [], ""
    for character in kept + " ":
        if character.isspace():
            if word:
                found.append(word)
            word = ""
        else:
            word += character
    return found


def without_articles(text: str) -> list[str]:
    return [word for word in words(text) if word not in ("a", "an", "the")]


def exact(answer: str, references: list[str]) -> float:
    best = 0.0
    for reference in references:
        if without_articles(answer) == without_articles(reference):
            best = 1.0
    return best


def f1(answer: str, references: list[str]) -> float:
    best = 0.0
    for reference in references:
        left, shared = without_articles(reference), 0
        total = len(left)
        for word in without_articles(answer):
            if word in left:
                left.remove(word)
                shared += 1
        own = len(without_articles(answer))
        if own == 0 or total == 0:
            score = 1.0 if own == total else 0.0
        else:
            precision, recall = shared / own, shared / total
            score = 0.0 if shared == 0 else 2 * precision * recall / (precision + recall)
        best = max(best, score)
    return best
