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
    "overview": Words("Overview", "Vue d'ensemble"),
    "all": Words("Figures to drag", "Des figures à manipuler"),
    "all-see": Words(
        "How the weights of a network are updated, kept small and normalised: each figure is computed here and now, by "
        "the very formulas that train. Take hold of a point, move a slider, press Play.",
        "Comment les poids d'un réseau sont mis à jour, gardés petits et normalisés : chaque figure est calculée ici "
        "même, par les formules qui entraînent. Attrapez un point, bougez un curseur, lancez la lecture.",
    ),
    "more": Words("more", "lire la suite"),
    "before": Words("Figure before", "Figure précédente"),
    "after": Words("Next figure", "Figure suivante"),
    "order": Words("Before and next", "Avant et après"),
    "controls": Words("Settings", "Réglages"),
    "play": Words("Play", "Lecture"),
    "pause": Words("Pause", "Pause"),
    "rewind": Words("To the first step", "Revenir au début"),
    "again": Words("Reset", "Réinitialiser"),
    "try": Words("To try", "À essayer"),
    "answer": Words("Answer", "Réponse"),
    "numbers": Words("Numbers", "Nombres"),
    "python": Words("Python", "Python"),
    "link": Words("Copy link", "Copier le lien"),
    "frame": Words("Copy iframe", "Copier l'iframe"),
    "present": Words("Full screen (F)", "Plein écran (F)"),
    "by-hand": Words("To be copied by hand", "À copier à la main"),
    "copy": Words("Copy", "Copier"),
    "save": Words("Save", "Enregistrer"),
    "copied": Words("Copied", "Copié"),
    "claims": Words("What the lecture states, measured:", "Ce que le cours affirme, mesuré :"),
    "formulas": Words("The formulas", "Les formules"),
    "letters": Words("In the lecture's letters", "Avec les notations du cours"),
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
