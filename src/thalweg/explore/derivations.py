"""Derivations beside the figures, in a few typeset steps."""

from thalweg.formula.typeset import STYLE

from .figure import Derivation, Words

_LETTERS = set("ηβΔEgmvtix")


def _of(*parts: str) -> str:
    """A row of MathML from parts: a letter, a number, a sign, or what the functions below have made."""
    return f"<mrow>{''.join(map(_part, parts))}</mrow>"


def _part(part: str) -> str:
    if part.startswith("<"):
        return part
    return (
        f"<mi>{part}</mi>"
        if part in _LETTERS
        else f"<mn>{part}</mn>"
        if part[0].isdigit()
        else f'<mo stretchy="false">{part}</mo>'
    )


def _below(letter: str, index: str, power: str = "") -> str:
    if power:
        return f"<msubsup>{_part(letter)}{_part(index)}{_part(power)}</msubsup>"
    return f"<msub>{_part(letter)}{_part(index)}</msub>"


def _raised(base: str, power: str) -> str:
    return f"<msup>{_part(base)}{_part(power)}</msup>"


def _hat(letter: str) -> str:
    hatted = f'<mover accent="true">{_part(letter)}<mo stretchy="false">ˆ</mo></mover>'
    return f"<msub>{hatted}<mi>t</mi></msub>"


def _over(above: str, below: str) -> str:
    return f"<mfrac>{above}{below}</mfrac>"


def _root(inside: str) -> str:
    return f"<msqrt>{inside}</msqrt>"


def _shown(*parts: str) -> str:
    return f'<math display="block" style="{STYLE}">{_of(*parts)}</math>'


_GAP = '<mspace width="1.5em"></mspace>'
_B1, _B2 = _below("β", "1"), _below("β", "2")
_SQUARE = _raised("g", "2")
_OLDER = _raised(_B2, _of("t", "−", "i"))
_SUM = "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>t</mi></munderover>"
_REST = _of("(", "1", "−", _B2, ")")
_LEFT1, _LEFT2 = (_of("1", "−", _below("β", each, "t")) for each in "12")
_DELTA = _of("|", _below("Δ", "t"), "|")
_JENSEN = _over(_of("|", "E", "[", "g", "]", "|"), _root(_of("E", "[", _SQUARE, "]")))

ADAM = Derivation(
    Words("Why 1 − βᵗ, and how long a step can be", "Pourquoi 1 − βᵗ, et jusqu'où va un pas"),
    (
        (
            Words(
                "v is an average that starts at 0. Written out, with gᵢ the gradient of step i:",
                "v est une moyenne qui part de 0. En la développant, avec gᵢ le gradient du pas i :",
            ),
            _shown(
                *(_below("v", "t"), "=", _B2, _below("v", _of("t", "−", "1")), "+", _REST, _below("g", "t", "2")),
                *("=", _REST, _SUM, _OLDER, _below("g", "i", "2")),
            ),
        ),
        (
            Words(
                "If all gradients have one distribution, each g² has the same mean, and the sum is geometric:",
                "Si tous les gradients ont une même loi, chaque g² a la même moyenne, et la somme est géométrique :",
            ),
            _shown(
                *("E", "[", _below("v", "t"), "]", "=", "E", "[", _SQUARE, "]", _REST, _SUM, _OLDER),
                *("=", "E", "[", _SQUARE, "]", "(", _LEFT2, ")"),
            ),
        ),
        (
            Words(
                "So v is too small by the factor 1 − β₂ᵗ. Divided by it, it is right in the mean from the first step; "
                "likewise m:",
                "v est donc trop petit d'un facteur 1 − β₂ᵗ. Divisé par lui, il est juste en moyenne dès le premier "
                "pas ; de même m :",
            ),
            _shown(
                *(_hat("v"), "=", _over(_below("v", "t"), _LEFT2), _GAP, _hat("m"), "="),
                _over(_below("m", "t"), _LEFT1),
            ),
        ),
        (
            Words(
                "x² is convex. By Jensen's inequality, for a g whose square has a mean above 0:",
                "x² est convexe. Par l'inégalité de Jensen, pour un g dont le carré a une moyenne positive :",
            ),
            _shown("E", "[", _SQUARE, "]", "≥", _raised(_of("E", "[", "g", "]"), "2"), "⟺", _JENSEN, "≤", "1"),
        ),
        (
            Words(
                "The lecture puts m̂ and v̂ in the place of these two means:",
                "Le cours met m̂ et v̂ à la place de ces deux moyennes :",
            ),
            _shown(
                *(_DELTA, "=", "η", _over(_of("|", _hat("m"), "|"), _root(_hat("v"))), "≈", "η", _JENSEN, "≤", "η"),
            ),
        ),
        (
            Words(
                "But they are estimates that remember differently, about 10 and 1,000 steps with the usual β. After a "
                "long quiet v̂ is small, and a single large gradient makes a step of 3.16 η:",
                "Mais ce sont des estimations de mémoires différentes, environ 10 et 1 000 pas avec les β usuels. "
                "Après un long calme v̂ est petit, et un seul grand gradient fait un pas de 3,16 η :",
            ),
            _shown(_DELTA, "→", "η", _over(_of("1", "−", _B1), _root(_of("1", "−", _B2)))),
        ),
        (
            Words(
                "What always holds follows from the inequality of Cauchy and Schwarz (ε left out): with the usual β no "
                "step is longer than 7.27 η.",
                "Ce qui est toujours vrai suit de l'inégalité de Cauchy-Schwarz (sans ε) : avec les β usuels, aucun "
                "pas ne dépasse 7,27 η.",
            ),
            _shown(
                *(_DELTA, "≤", "η"),
                _over(
                    _of("1", "−", _B1),
                    _root(_of("(", "1", "−", _B2, ")", "(", "1", "−", _below("β", "1", "2"), "/", _B2, ")")),
                ),
            ),
        ),
    ),
)
