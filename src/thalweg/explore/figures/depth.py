"""The norm's place in a transformer block, and the gradient's size by depth, as the library measured it."""

from thalweg.explore.depth import DEPTHS, EXAMPLES, HEADS, LENGTH, SEEDS, WIDTH, stored
from thalweg.explore.figure import Choice, Figure, Slider, Words

FIGURE = Figure(
    name="depth",
    section="normalisation",
    title=Words("The norm's place in a transformer", "La place de la normalisation dans un transformer"),
    see=Words(
        "Before the first step, post has its largest gradients in the last blocks: 2, 4 and 5 times those of pre with "
        "6, 12 and 24 blocks. A full learning rate does harm there, hence the warm-up (Xiong et al. 2020). In pre and "
        "sandwich they shrink towards the output.",
        "Avant le premier pas, post a ses plus grands gradients dans les derniers blocs : 2, 4 et 5 fois ceux de pre "
        "avec 6, 12 et 24 blocs. Un taux d'apprentissage entier y fait des dégâts, d'où le warm-up (Xiong et al. "
        "2020). Avec pre et sandwich ils diminuent vers la sortie.",
    ),
    question=Words(
        "How many times as large is the gradient of the last block as that of the first, with post and with pre, of 6 "
        "and of 24 blocks?",
        "Combien de fois le gradient du dernier bloc vaut-il celui du premier, avec post et avec pre, pour 6 et pour "
        "24 blocs ?",
    ),
    answer=Words(
        "With post 1.4 and 2.2 times; with pre 0.74 and 0.50 times.",
        "Avec post 1,4 et 2,2 fois ; avec pre 0,74 et 0,50 fois.",
    ),
    thread=Words(
        "LayerNorm needs no batch, and so stands in every transformer; there, its place decides on the gradients.",
        "LayerNorm se passe de batch, et se trouve donc dans tous les transformers ; là, sa place décide des "
        "gradients.",
    ),
    controls=(
        Choice(
            "layers",
            Words("blocks", "blocs"),
            {str(layers): Words(str(layers), str(layers)) for layers in DEPTHS},
            str(DEPTHS[-1]),
        ),
        Slider("block", Words("block", "bloc"), 1, DEPTHS[-1], DEPTHS[-1], whole=True),
    ),
    data={"norms": stored()},
    words={
        "chart": Words("Gradient of each block, at the start", "Gradient de chaque bloc, au départ"),
        "diagram": Words("Where the norms stand", "Où sont les normalisations"),
        "block": Words("block, from the input to the output", "bloc, de l'entrée à la sortie"),
        "norm": Words("norm of the gradient", "norme du gradient"),
        "placement": Words("place", "place"),
        "here": Words("block {block}", "bloc {block}"),
        "first": Words("first block", "premier bloc"),
        "last": Words("last block", "dernier bloc"),
        "ratio": Words("last / first", "dernier / premier"),
        "box-norm": Words("norm", "norm."),
        "box-attention": Words("attention", "attention"),
        "box-feed": Words("feed-forward", "feed-forward"),
        "input": Words("x", "x"),
        "note": Words(
            "At block {block} of {layers} the gradient's norm is {pre} with pre, {post} with post and {sandwich} with "
            "sandwich. From the first block to the last it changes by a factor of {pre_ratio}, {post_ratio} and "
            "{sandwich_ratio}.",
            "Au bloc {block} sur {layers}, la norme du gradient est {pre} avec pre, {post} avec post et {sandwich} "
            "avec sandwich. Du premier bloc au dernier, elle est multipliée par {pre_ratio}, {post_ratio} et "
            "{sandwich_ratio}.",
        ),
        "how": Words(
            f"Width {WIDTH}, {HEADS} heads, {EXAMPLES} sequences of {LENGTH} random words; root mean square of "
            f"{SEEDS} seeds.",
            f"Largeur {WIDTH}, {HEADS} têtes, {EXAMPLES} suites de {LENGTH} mots au hasard ; moyenne quadratique sur "
            f"{SEEDS} graines.",
        ),
    },
)
