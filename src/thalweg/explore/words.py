"""What the page itself says, in its languages."""

from collections.abc import Mapping

from .figure import Words

WORDS: Mapping[str, Words] = {
    "tagline": Words(
        "how weights are updated, drawn from the formulas that train",
        "la mise à jour des poids, dessinée par les formules qui entraînent",
    ),
    "skip": Words("To the figure", "Vers la figure"),
    "languages": Words("Language", "Langue"),
    "theme": Words("Light or dark", "Clair ou sombre"),
    "contents": Words("Figures", "Figures"),
    "before": Words("Figure before", "Figure précédente"),
    "after": Words("Next figure", "Figure suivante"),
    "controls": Words("Settings", "Réglages"),
    "play": Words("Play", "Lecture"),
    "pause": Words("Pause", "Pause"),
    "again": Words("Reset", "Réinitialiser"),
    "numbers": Words("Numbers", "Nombres"),
    "python": Words("Python", "Python"),
    "link": Words("Copy link", "Copier le lien"),
    "copy": Words("Copy", "Copier"),
    "save": Words("Save", "Enregistrer"),
    "copied": Words("Copied", "Copié"),
    "claims": Words("What the lecture states, measured:", "Ce que le cours affirme, mesuré :"),
    "formulas": Words("The formulas", "Les formules"),
    "start": Words("start", "départ"),
    "step": Words("step", "pas"),
    "loss": Words("loss", "perte"),
}

SECTIONS: Mapping[str, Words] = {
    "schemes": Words("Optimisation schemes", "Schémas d'optimisation"),
    "regularisation": Words("Regularisation", "Régularisation"),
    "normalisation": Words("Normalisation", "Normalisation"),
    "practice": Words("In practice", "En pratique"),
}
