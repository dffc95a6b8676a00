"""A crowded valley: which rule wins depends on the draw. From a study that thalweg compared and kept."""

from thalweg.explore.figure import Choice, Figure, Slider, Words, spelt
from thalweg.explore.valley import packed, stored

_STUDY = stored()
_TASKS = _STUDY["tasks"]
_SHOWN = [
    {
        **task,
        "verdict": spelt(task["verdict"]),
        "rules": [{**rule, "name": spelt(rule["name"])} for rule in task["rules"]],
    }
    for task in packed(_STUDY)["tasks"]
]
_RULES, _TRIALS = len(_TASKS[0]["rules"]), len(_TASKS[0]["rules"][0]["values"])
_DRAWN = 500  # virtual studies

FIGURE = Figure(
    name="valley",
    section="practice",
    title=Words("A crowded valley", "Une vallée bien remplie"),
    see=Words(
        f"On {len(_TASKS)} tasks, {_RULES} rules were tuned with {_TRIALS} trials each. Draw n of the trials anew, and "
        "train the chosen ones with another seed: often another rule wins. A benchmark that is run once shows one of "
        "these winners. Title and rules are those of Schmidt et al. 2021.",
        f"{_RULES} règles, {len(_TASKS)} tâches, {_TRIALS} essais de réglage chacune. Tirez à nouveau n de ces essais, "
        "et entraînez les essais choisis avec une autre graine : souvent, une autre règle l'emporte. Une étude faite "
        "une seule fois montre un seul de ces vainqueurs. Titre et règles sont de Schmidt et al. 2021.",
    ),
    question=Words(
        "On tabular, let each rule have one trial, its default, then 5: how often does the most frequent winner win?",
        "Sur tabular, donnez à chaque règle un seul essai, son réglage par défaut, puis 5 : à quelle fréquence gagne "
        "celle qui gagne le plus ?",
    ),
    answer=Words(
        "RMSProp wins 77% of the draws with one trial, and 34% with 5: the more is tuned, the less the rule decides.",
        "RMSProp gagne 77 % des tirages avec un essai, 34 % avec 5 : plus on règle, moins la règle décide.",
    ),
    thread=Words(
        "Which of all these choices is best? Studies give an answer; here one can ask how often they would give "
        "another.",
        "Lequel de tous ces choix est le meilleur ? Des études répondent ; ici on peut demander à quelle fréquence "
        "elles répondraient autrement.",
    ),
    controls=(
        Choice(
            "task",
            Words("task", "tâche"),
            {each["task"]: Words(each["task"], each["task"]) for each in _TASKS},
            _TASKS[0]["task"],
        ),
        Slider("n", Words("trials in a study, n", "essais par étude, n"), 1, _TRIALS, _TASKS[0]["budget"], whole=True),
        Slider("seed", Words("draw again", "tirer à nouveau"), 0, 199, 1, whole=True),
    ),
    data={"study": {"tasks": _SHOWN}, "studies": _DRAWN},
    words={
        "trials": Words("One virtual study; ring: chosen trial", "Un tirage ; anneau : l'essai choisi"),
        "again": Words("Chosen trial, other seeds; ★ best", "L'essai choisi, autres graines ; ★ meilleur"),
        "wins": Words(f"Wins in {_DRAWN} virtual studies", f"Victoires dans {_DRAWN} études virtuelles"),
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
            f"Beyond {{largest}} of the {_TRIALS} trials the draws have many trials in common, and say little about "
            "new studies.",
            f"Au-delà de {{largest}} des {_TRIALS} essais, les tirages ont beaucoup d'essais en commun et disent peu "
            "des études nouvelles.",
        ),
        "verdict": Words(
            "The comparison's verdict: “{verdict}”",
            "Verdict de la comparaison : {told} des {pairs} autres règles départagées de {reference} (« {verdict} »)",
        ),
    },
)
