"""Words that tell code and mathematics from other text: chosen for Tamis, English but for the TeX commands."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

KEYWORDS = """
    #define #else #endif #if #ifdef #ifndef #include #pragma abstract as assert async await begin break case catch class
    const continue def default defer del do echo elif else elsif end endif enum except exit export extends extern fi
    final finally fn for foreach from func function global goto if impl implements import in include interface internal
    lambda let local loop match mod module my namespace new nil none null override package pass private proc protected
    pub public raise require return select self static struct super switch template then this throw throws trait try
    type typedef typename undef union unless unsigned until use using val var virtual void volatile while with yield
    bool byte char double float int long short string auto sub insert update create
""".split()
"""First words of lines of code. They only count where marks of code stand beside them."""

COMMANDS = """
    frac dfrac tfrac sqrt sum prod int iint oint lim sup inf max min log ln exp sin cos tan cdot cdots ldots dots times
    div pm mp leq le geq ge neq ne approx equiv sim simeq cong propto infty partial nabla forall exists in notin subset
    subseteq supset cup cap emptyset setminus to rightarrow leftarrow mapsto implies iff Rightarrow Leftrightarrow alpha
    beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi varphi chi psi
    omega Gamma Delta Theta Lambda Sigma Phi Psi Omega left right big Big begin end text mathrm mathbb mathbf mathcal
    mathfrak mathit operatorname hat bar vec tilde dot ddot overline underline binom choose displaystyle quad qquad mid
    ell hbar langle rangle lfloor rfloor lceil rceil boxed qed label ref eqref cite prime circ oplus otimes wedge vee
    neg
""".split()
"""TeX commands; they count behind a backslash."""

STRONG = """
    theorem theorems lemma lemmas corollary proof proofs axiom axioms conjecture equation equations inequality
    inequalities polynomial polynomials quadratic cubic integer integers divisor divisors divisible divisibility modulo
    quotient numerator denominator fraction fractions matrix matrices determinant eigenvalue eigenvalues eigenvector
    vector vectors scalar tensor derivative derivatives differentiable differentiate integral integrals integrand
    calculus algebra algebraic geometry geometric arithmetic trigonometry trigonometric sine cosine tangent logarithm
    logarithms logarithmic exponent exponents exponential factorial permutation permutations combinatorics binomial
    coefficient coefficients variance covariance stochastic bijection bijective injective surjective homomorphism
    isomorphism isomorphic topology topological manifold convergent converges divergent hypotenuse perimeter
    circumference diameter radius radii triangle triangles rectangle polygon parallelogram trapezoid congruent
    perpendicular bisector collinear midpoint vertex vertices parabola ellipse hyperbola asymptote mathematics
    mathematical mathematician maths cardinality subset subsets supremum infimum monotonic summation squared cubed
    algorithmically contrapositive contradiction nonnegative nonzero odds probability probabilities
""".split()
"""Words of mathematics."""

WEAK = """
    let suppose assume therefore thus hence implies imply implied given follows conclude deduce satisfies satisfying
    satisfy equals equal equality sum sums product products solve solving solution solutions find compute calculate
    evaluate simplify substitute substituting substitution multiply multiplied multiplying divide divided dividing
    subtract subtracting subtracted add adding plus minus times twice half total remaining remainder each digit digits
    number numbers even odd prime primes positive negative maximum minimum function functions variable variables term
    terms sequence series square squares cube root roots real complex rational irrational finite infinite constant angle
    angles area volume length distance set sets element elements value values ratio percent degree degrees define
    defined denote denotes denoted formula expression left-hand right-hand exactly at-least pairs pair cases
""".split()
"""Words of reasoning and reckoning, which other text has too, but fewer."""


@lru_cache(maxsize=1)
def word_table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Hashes and kinds of all words, in a table of open addressing, a quarter full at most: `uint64[m]`, `uint8[m]`.

    Words of mathematics are there in lower case and with a capital.
    """
    from stages import kernels_category as kernels
    from stages.text.views import hash_word

    kinds_of: dict[int, int] = {}
    for words, kind, capital in (
        (KEYWORDS, kernels.KEYWORD, False),
        (COMMANDS, kernels.COMMAND, False),
        (STRONG, kernels.STRONG, True),
        (WEAK, kernels.WEAK, True),
    ):
        for word in words:
            for form in {word, word.capitalize()} if capital else {word}:
                kinds_of[hash_word(form)] = kinds_of.get(hash_word(form), 0) | kind
    size = 1 << (4 * len(kinds_of)).bit_length()
    keys, kinds = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    for key, kind in kinds_of.items():
        slot = key % size
        while kinds[slot]:
            slot = (slot + 1) % size
        keys[slot], kinds[slot] = key, kind
    return keys, kinds
