"""What the lecture's slides write, and what should stand there."""

from dataclasses import dataclass

from thalweg.languages import Words


@dataclass(frozen=True)
class Erratum:
    """A place in the slides.

    ``slide``    its title.
    ``written``  what stands there, as there; ``instead``: what should. Formulas in plain characters.
    ``why``      the reason.
    ``claims``   names of the claims that measure what follows.
    """

    slide: str
    written: str
    instead: str
    why: Words
    claims: tuple[str, ...] = ()


ERRATA = (
    Erratum(
        "Avec momentum",
        "γₜ ∈ [0, 1]",
        "0 ≤ γₜ < 1",
        Words(
            "With γ = 1 the velocity stays what it was at the start, 0: nothing is ever trained.",
            "Avec γ = 1, la vélocité reste ce qu'elle était au départ, 0 : rien n'est jamais appris.",
        ),
        ("momentum-one",),
    ),
    Erratum(
        "RMSProp : deuxième réponse",
        "α ≥ 0",
        "0 ≤ α < 1",
        Words(
            "At α = 1 nothing of the new gradient enters, and g stays 0. Beyond, its square enters with a negative "
            "sign, and the root is that of a negative number.",
            "Avec α = 1, rien du nouveau gradient n'entre, et g reste 0. Au-delà, son carré entre avec un signe "
            "négatif, et la racine est celle d'un nombre négatif.",
        ),
    ),
    Erratum(
        "RMSProp : deuxième réponse",
        "un apprentissage uniforme dans toutes les directions",
        "... selon chaque coordonnée",
        Words(
            "Each coordinate is scaled by itself. In a valley that lies across them, RMSProp and AdaGrad prefer a "
            "direction, as descent does.",
            "Chaque coordonnée est mise à l'échelle seule. Dans une vallée oblique par rapport à elles, RMSProp et "
            "AdaGrad privilégient une direction, comme la descente.",
        ),
        ("adagrad-uniform", "rmsprop-uniform", "uniform-in-all-directions"),
    ),
    Erratum(
        "Adam : correction du biais de l'initialisation",
        "vₜ = β₂ vₜ₋₁ + (1 − β₂) ℒ(θₜ)²",
        "vₜ = β₂ vₜ₋₁ + (1 − β₂) ∇ℒ(θₜ₋₁)²",
        Words(
            "It is the gradient that is averaged, not the loss: ℒ stands for ∇ℒ in every line. And the scheme above "
            "has vₜ₊₁ from ∇ℒ(θₜ), so the newest gradient in vₜ is that of θₜ₋₁; the sum goes over i = 0, ..., t − 1 "
            "with β₂ᵗ⁻¹⁻ⁱ. What follows for the correction stays as it is.",
            "C'est le gradient dont on fait la moyenne, pas la perte : ℒ est mis pour ∇ℒ à chaque ligne. Et le schéma "
            "au-dessus donne vₜ₊₁ à partir de ∇ℒ(θₜ), donc le dernier gradient dans vₜ est celui de θₜ₋₁ ; la somme "
            "porte sur i = 0, ..., t − 1 avec β₂ᵗ⁻¹⁻ⁱ. La correction qui en découle ne change pas.",
        ),
        ("adam-moments-unbiased", "adam-moments-unbiased-in-training"),
    ),
    Erratum(
        "Adam : interprétation du learning rate",
        "v̂ₜ et m̂ₜ sont des estimateurs non biaisés de E[ℒ(θₜ)] et E[ℒ(θₜ)²]",
        "m̂ₜ et v̂ₜ sont des estimateurs non biaisés de E[∇ℒ(θₜ)] et E[∇ℒ(θₜ)²]",
        Words(
            "ℒ for ∇ℒ again, and the order is crossed: v̂ estimates the square. Both only if the gradients have one "
            "distribution all along.",
            "De nouveau ℒ pour ∇ℒ, et l'ordre est croisé : v̂ estime le carré. Les deux seulement si les gradients "
            "suivent la même loi tout du long.",
        ),
        ("adam-moments-unbiased-in-training",),
    ),
    Erratum(
        "Adam : interprétation du learning rate",
        "Δₜ = η m̂ₜ / √v̂ₜ",
        "Δₜ = −η m̂ₜ / √v̂ₜ",
        Words(
            "Δₜ is θₜ − θₜ₋₁, and a step goes against the gradient. The lengths that follow are right.",
            "Δₜ est θₜ − θₜ₋₁, et un pas va contre le gradient. Les longueurs qui suivent sont justes.",
        ),
    ),
    Erratum(
        "Adam : interprétation du learning rate",
        "|Δₜ| ∼ η |E[ℒ(θₜ)]| / √(E[ℒ(θₜ)]²)",
        "|Δₜ| ∼ η |E[∇ℒ(θₜ)]| / √(E[∇ℒ(θₜ)²])",
        Words(
            "The square belongs inside the expectation: outside, the quotient is 1 whatever the gradient, and Jensen's "
            "inequality has nothing to say.",
            "Le carré est à l'intérieur de l'espérance : à l'extérieur, le quotient vaut 1 quel que soit le gradient, "
            "et l'inégalité de Jensen n'a rien à dire.",
        ),
    ),
    Erratum(
        "Adam : interprétation du learning rate",
        "|Δₜ| ∼ ..., ainsi |Δₜ| ≲ η",
        "|Δₜ| ≤ η (1 − β₁) / √((1 − β₂)(1 − β₁²/β₂))",
        Words(
            "The quotient of two unbiased estimates does not estimate the quotient: they remember 10 and 1,000 steps, "
            "and where the gradient is noise, steps are far longer than its mean would make them. What always holds "
            "follows from the inequality of Cauchy and Schwarz: 7.27 η with the usual β, for gradients that grow; one "
            "rare gradient makes a step of 3.16 η (Kingma & Ba 2015, section 2.1). ε is left out.",
            "Le quotient de deux estimateurs sans biais n'estime pas le quotient : ils retiennent 10 et 1 000 pas, et "
            "là où le gradient est du bruit, les pas sont bien plus longs que sa moyenne ne les ferait. Ce qui vaut "
            "toujours suit de l'inégalité de Cauchy-Schwarz : 7,27 η avec les β usuels, pour des gradients qui "
            "croissent ; un gradient rare fait un pas de 3,16 η (Kingma & Ba 2015, section 2.1). ε est omis.",
        ),
        ("adam-ratio-of-means", "adam-step-bounded", "adam-step-never-longer"),
    ),
    Erratum(
        "Problème de la régularisation",
        "Ainsi, dès lors que l'on utilise une méthode adaptative",
        "... une méthode adaptative, qui divise aussi λ wₜ par √vₜ",
        Words(
            "The derivation above is that of momentum, which is not adaptive, and with which both forms rest at the "
            "same point. The reason for adaptive methods is another: the penalty's gradient, too, is divided by √v, so "
            "that weights with large gradients are decayed least (Loshchilov & Hutter 2019).",
            "Le calcul qui précède est celui du momentum, qui n'est pas adaptatif, et avec lequel les deux formes ont "
            "le même point de repos. Pour les méthodes adaptatives, la raison est autre : le gradient de la pénalité "
            "est lui aussi divisé par √v, si bien que les poids aux grands gradients décroissent le moins (Loshchilov "
            "& Hutter 2019).",
        ),
        ("l2-is-not-decay-with-momentum", "l2-harms-momentum", "l2-shrinks-unequally-with-scaling"),
    ),
    Erratum(
        "Gradient clipping",
        "avec une fonction de perte hautement non convexe, il est possible que des gradients de norme importante ...",
        "avec un réseau profond aux grands poids, ou un pas trop long, ...",
        Words(
            "Gradients grow as products of many matrices do, exponentially with depth, or with time in a recurrent "
            "network (Pascanu, Mikolov & Bengio 2013); and in the lecture's own example, (x − 1)² at the rate 1.05, "
            "they grow although the loss is convex.",
            "Les gradients croissent comme les produits de nombreuses matrices, exponentiellement avec la profondeur, "
            "ou avec le temps dans un réseau récurrent (Pascanu, Mikolov & Bengio 2013) ; et dans l'exemple même du "
            "cours, (x − 1)² au taux 1,05, ils croissent bien que la perte soit convexe.",
        ),
        ("gradients-explode-with-depth", "explosion-needs-non-convexity"),
    ),
    Erratum(
        "Couche Batch Normalization : seconde approximation",
        "σ²_ℬ = (1/m) Σⱼ (xᵢ − μ_ℬ)²",
        "σ²_ℬ = (1/m) Σⱼ (xⱼ − μ_ℬ)²",
        Words(
            "The sum goes over j. As it stands every term is the same, and each example has a variance of its own. "
            "The same index on the slide of Layer Normalization.",
            "La somme porte sur j. Sous cette forme, tous les termes sont égaux, et chaque exemple a sa propre "
            "variance. Le même indice sur la diapositive de Layer Normalization.",
        ),
    ),
    Erratum(
        "Couche Batch Normalization : position de la couche",
        "l'article est clair ... (fonction d'activation puis Batch Normalization)",
        "l'article est clair ... (Batch Normalization puis fonction d'activation)",
        Words(
            "Ioffe & Szegedy 2015, section 3.2, normalise W u + b, before the nonlinearity. ReLU, then BatchNorm, is "
            "what Chollet's comment says, which the slide advises to follow: as it stands, paper and advice agree.",
            "Ioffe & Szegedy 2015, section 3.2, normalisent W u + b, avant la non-linéarité. ReLU puis BatchNorm, "
            "c'est ce que dit le commentaire de Chollet, que la diapositive conseille de suivre : telle quelle, elle "
            "met l'article et le conseil d'accord.",
        ),
        ("batchnorm-after-activation",),
    ),
    Erratum(
        "Layer Normalization",
        "zᵢ = γ x̂ᵢ + β",
        "zᵢ = γᵢ x̂ᵢ + βᵢ",
        Words(
            "Here i runs over the features, and each has its own γ and β; in Batch Normalization, too, the pairs are "
            "one for each dimension of a layer, not one for each layer.",
            "Ici i parcourt les features, et chacune a ses propres γ et β ; dans Batch Normalization aussi, il y a "
            "une paire par dimension d'une couche, et non une par couche.",
        ),
    ),
    Erratum(
        "Optimizer Lion",
        "θₜ₊₁ = θₜ − ηₜ (sign(cₜ) + λ θₜ)",
        "θₜ₊₁ = θₜ − ηₜ (sign(cₜ₊₁) + λ θₜ)",
        Words(
            "The first line defines cₜ₊₁, from the newest gradient; that is the one whose sign is taken (Chen et al. "
            "2023, algorithm 2).",
            "La première ligne définit cₜ₊₁, avec le dernier gradient ; c'est celui dont on prend le signe (Chen et "
            "al. 2023, algorithme 2).",
        ),
    ),
    Erratum(
        "Bibliographie",
        "Neural networks for machine learning lecture 6a",
        "lecture 6e",
        Words(
            "RMSProp is in part e of the lecture; part a is the overview of mini-batch descent whose title is cited.",
            "RMSProp est dans la partie e du cours ; la partie a est la présentation de la descente par mini-batch "
            "dont le titre est cité.",
        ),
    ),
    Erratum(
        "Orthographe",
        "qui ralenti ; on déduis ; restant ; soit propagé ; publie ; à chaque époques ; leurs racine carré inverse ; "
        "chaque dimensions ; les contraints à être proche ; celle nouvelle brique ; entre autre ; chaque features ; "
        "chaque observations ; équipe de chercheur ; deux hyperparamètre ; manières consistante ; suffisent",
        "qui ralentit ; on déduit ; restent ; soient propagés ; publient ; à chaque époque ; leurs racines carrées "
        "inverses ; chaque dimension ; les contraint à être proches ; cette nouvelle brique ; entre autres ; chaque "
        "feature ; chaque observation ; équipe de chercheurs ; deux hyperparamètres ; manière consistante ; suffit",
        Words("Slips of spelling, in the slides' order.", "Fautes d'orthographe, dans l'ordre des diapositives."),
    ),
)
