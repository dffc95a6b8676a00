"""A crowded valley: which rule wins depends on the draw. From a study that thalweg compared and kept."""

from thalweg.explore.figure import Choice, Figure, Slider, Words
from thalweg.explore.valley import stored

_STUDY = stored()

FIGURE = Figure(
    name="valley",
    section="practice",
    title=Words("A crowded valley", "Une vallée bien remplie"),
    see=Words(
        "Six rules were tuned on three tasks with 25 trials each. Draw n of the trials anew: the winner changes from "
        "draw to draw, and with the seed of its re-run. A rule's name says less about the result than how it was "
        "tuned (Schmidt et al. 2021).",
        "Six règles, trois tâches, 25 essais de réglage chacune. Tirez à nouveau n de ces essais : le vainqueur "
        "change à chaque tirage, et avec la graine. Le nom de la règle en dit moins sur le résultat que la façon de "
        "la régler (Schmidt et al. 2021).",
    ),
    controls=(
        Choice(
            "task",
            Words("task", "tâche"),
            {each["task"]: Words(each["task"], each["task"]) for each in _STUDY["tasks"]},
            _STUDY["tasks"][0]["task"],
        ),
        Slider(
            "n", Words("trials in a study, n", "essais par étude, n"), 1, 25, _STUDY["tasks"][0]["budget"], whole=True
        ),
        Slider("seed", Words("draw again", "tirer à nouveau"), 0, 199, 1, whole=True),
    ),
    data={"study": _STUDY, "studies": 500},
    words={
        "trials": Words("One virtual study; ring: chosen trial", "Une étude virtuelle ; anneau : l'essai choisi"),
        "again": Words("Chosen trial, other seeds; ★ best", "L'essai choisi, autres graines ; ★ meilleur"),
        "wins": Words("Wins in 500 virtual studies", "Victoires dans 500 études virtuelles"),
        "share": Words("share of wins", "part des victoires"),
        "test_accuracy": Words("test accuracy", "exactitude de test"),
        "test_loss": Words("test loss", "perte de test"),
        "rule": Words("rule", "règle"),
        "trial": Words("trial", "essai"),
        "value": Words("result", "résultat"),
        "mean": Words("mean of the seeds", "moyenne des graines"),
        "deviation": Words("deviation", "écart-type"),
        "won": Words("wins", "victoires"),
        "winner": Words("Best in this draw: {winner}.", "Meilleur résultat de ce tirage : {winner}."),
        "often": Words(
            "In {studies} such studies {most} wins most often, {share} of the time.",
            "Sur {studies} études de ce genre, {most} l'emporte le plus souvent : {share}.",
        ),
        "beyond": Words(
            "Beyond {budget} of the 25 trials the draws have many trials in common, and say little about new studies.",
            "Au-delà de {budget} des 25 essais, les tirages ont beaucoup d'essais en commun et disent peu des études "
            "nouvelles.",
        ),
        "verdict": Words(
            "The comparison's verdict: “{verdict}”",
            "Verdict de la comparaison : {told} des {pairs} paires de règles départagées (« {verdict} »)",
        ),
    },
)
