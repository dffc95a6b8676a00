"""The page of the lecture's claims: what is stated, what was measured, the verdict, and a picture."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from thalweg import claims
from thalweg.claims.errata import ERRATA
from thalweg.claims.judging import VERDICTS, Decided
from thalweg.claims.keep import current, published
from thalweg.claims.outcome import Outcome, core_seconds, outcomes
from thalweg.claims.wording import asked, estimate
from thalweg.languages import Words

from .words import SECTIONS

# Beside the explorer, under this name.
FILE = "thalweg-claims.html"

WORDS = {
    "heading": Words("The lecture's statements, measured", "Les affirmations du cours, mesurées"),
    "lead": Words(
        "Each statement, as the slides have it or as a reading of them, has a small experiment, and numbers that "
        "decide, written down before. It holds where the intervals of all quantities, over the seeds, lie within their "
        "bounds; it does not where one lies outside; otherwise one cannot tell. In at most one of a hundred "
        "measurements any of its intervals misses. Numbers are the first repeat's; means of ratios are geometric.",
        "Chaque affirmation, telle que sur les diapositives ou comme on peut les lire, a une petite expérience, et des "
        "nombres qui décident, écrits avant. Elle est vérifiée si les intervalles de toutes les quantités, sur les "
        "graines, sont dans leurs bornes ; elle ne l'est pas si l'un est dehors ; sinon on ne peut pas trancher. Dans "
        "une mesure sur cent au plus, l'un de ses intervalles se trompe. Les nombres sont ceux de la première "
        "répétition ; les moyennes de rapports sont géométriques.",
    ),
    "tagline": Words(
        "how weights are updated, put to the test",
        "la mise à jour des poids, mise à l'épreuve",
    ),
    "languages": Words("Language", "Langue"),
    "theme": Words("Light or dark", "Clair ou sombre"),
    "contents": Words("Statements", "Affirmations"),
    "slide": Words("Slide", "Diapositive"),
    "play": Words("Play with it in the explorer", "Essayer dans l'explorateur"),
    "asked": Words("asked: {bound}", "demandé : {bound}"),
    "repeat": Words("repeat", "répétition"),
    "of": Words("{count} of {repeats}", "{count} sur {repeats}"),
    "why": Words("Why", "Pourquoi"),
    "facts": Words(
        "Statements: {claims}; repeats, with other seeds each: {repeats}. Machine: {machine}, {date}, thalweg "
        "{version}; seconds of a core for one repeat: {seconds}.",
        "Affirmations : {claims} ; répétitions, avec d'autres graines à chaque fois : {repeats}. Machine : {machine}, "
        "{date}, thalweg {version} ; secondes d'un cœur pour une répétition : {seconds}.",
    ),
    "errata": Words("Errata of the slides", "Errata des diapositives"),
    "written": Words("written", "écrit"),
    "instead": Words("should be", "devrait être"),
    "holds": Words("holds", "vérifié"),
    "does not hold": Words("does not hold", "non vérifié"),
    "cannot tell": Words("cannot tell", "indécidable"),
}


@lru_cache(maxsize=1)
def measured() -> tuple[Outcome, ...]:
    """What the library brings along: all claims, in five repeats."""
    every = [claims.claim(name) for name in claims.names()]
    return outcomes(every, current(published(), every))


def data(shown: Sequence[Outcome], explorer: str) -> dict[str, Any]:
    """All that the page draws, as JSON. ``explorer``: the file of the explorer beside the page; "": there is none."""
    names = {each.claim.name for each in shown}
    sections: dict[str, Any] = {
        section: [_claim(each) for each in shown if each.section == section]
        for section in dict.fromkeys(each.section for each in shown)
    }
    return {
        "WORDS": _plain(WORDS),
        "VERDICTS": VERDICTS,
        "EXPLORER": explorer,
        "FACTS": _facts(shown),
        "SECTIONS": [{"title": _plain(SECTIONS[name]), "claims": claims} for name, claims in sections.items()],
        "ERRATA": [{**_plain(asdict(each)), "claims": [one for one in each.claims if one in names]} for each in ERRATA],
    }


def links(figure: str) -> list[dict[str, Any]]:
    """The claims that a figure of the explorer is about: name, statement, verdict."""
    own = [each for each in measured() if each.claim.figure == figure]
    return [
        _plain({"name": one.claim.name, "statement": one.claim.statement, "verdict": WORDS[one.verdict]}) for one in own
    ]


def _facts(shown: Sequence[Outcome]) -> dict[str, str]:
    records = [record for each in shown for record in each.records]
    days = sorted({record.date for record in records})
    ends = days[:1] + days[1:][-1:]
    return {
        "claims": str(len(shown)),
        "repeats": str(len({record.repeat for record in records})),
        "machine": ", ".join(sorted({record.machine for record in records})),
        "date": " – ".join(ends),
        "version": ", ".join(sorted({record.version for record in records})),
        "seconds": f"{core_seconds(shown):.0f}",
    }


def _claim(outcome: Outcome) -> dict[str, Any]:
    one = outcome.claim
    said = {name: getattr(one, name) for name in ("name", "slide", "statement", "measured", "why", "figure")}
    claim: dict[str, Any] = _plain(
        {
            **said,
            "verdict": outcome.verdict,
            "count": outcome.verdicts.count(outcome.verdict),
            "bounds": [_bound([judged.bounds[place] for judged in outcome.judged]) for place in range(len(one.bounds))],
            "panels": [asdict(panel) for panel in outcome.records[0].figure],
        }
    )
    return claim


def _bound(repeats: Sequence[Decided]) -> dict[str, Any]:
    """A bound in all repeats."""
    bound = repeats[0].bound
    return {
        "words": bound.words,
        "asked": _in_french(asked(bound)),
        "first": _in_french(estimate(repeats[0])),
        "low": _finite(bound.at_least),
        "high": _finite(bound.at_most),
        "ratio": bound.ratio,
        "share": bound.share,
        "repeats": [[each.interval.mean, each.interval.low, each.interval.high, each.verdict] for each in repeats],
    }


def _in_french(text: str) -> Words:
    """A number's text in both languages."""
    french = text.replace(".", ",").replace("%", " %")
    for english, other in (("at least", "au moins"), ("at most", "au plus"), (" to ", " à ")):
        french = french.replace(english, other)
    return Words(text, french)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _plain(value: Any) -> Any:
    """Words as JSON of both languages, which `asdict` leaves as they are."""
    if isinstance(value, Words):
        return value._asdict()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
