"""Words that published lists hold and that sober text needs: they are no hits.

Chosen by us from what the default lists found in edited text (encyclopedias, news, sentences of the web in 79
languages) and in posts that people had marked as clean. What a word means decides, not whom it is said of: names of
bodies, illnesses, orientations, religions and parties are not obscene, and those who write about them shall not be
sieved out.
"""

from __future__ import annotations

BODY_AND_MEDICINE = """
anal anus areola areole bekken breasts camisinha cervix clitoris coitus ejaculate ejaculation erect erection esperma
excrement faeces fecal feces foreskin genital genitals gonads hymen intercourse kanker labia masturbate masturbating
masturbation meme nipple nipples onani onanieren orgasm orgasms orgasmus penetration penile penis penises pezón
premature pubic pênis rectal rectum scrotum semen sperm stroke teste testes testicle testicles testis vagina vaginal
vulva سخت مرات کمی माल मुँह 乳头 乳房 乳首 前立腺 卵子 处女 手淫 月経 月经 直腸 精子 精液 肛門 膣 自慰 遺精 阴茎 阴道
"""

IDENTITY = """
abaza bisexual eşcinsel gay hijra homo homosexual hristiyan israil kafir komünist lesbian lésbica müslüman queer
queers sexuality travesti yahudi شذوذ レズビアン
"""

NEWS_AND_HISTORY = """
akp aryan asesinato balatkar bombers bombing cocaína drogas escort hamas hitler incest kkk klan molest molestation
nazi nazis nazism negro neonazi paedophile pedophile pedophilia pkk pornography prostitute protesto rape raped raping
rapist reich sodom sodomy swastika تجاوز 強奸 強姦 强奸 虐待
"""

PLAIN_WORDS = """
31 am balls boche bonze bosch bunga chug chute con cox crabs cracker crotch cul dago darky demon destek din dix
domination dong durum ero erotic flipping fratze frigg fırsat geni guro hayvan hori hui ische jism jiss jiz jugs knob
knobs kum kwa mal muff nackt nad naked nip nippel nude nudity pau penas penetrate perversion pinto pocha poon pud pula
pule punta redskins rere sanchez sayfa seks sex sexing sexo sexual sexually sexy snatch stroking suck sucked sucker
sucks takip tavara titi top topless twinkie virgin xx žrát بتاع عايز বাল মাল
なめ カス やめて 女の子 smuts 人妻 卖淫 妓女 小姐 屁股 祖宗
"""


def _words(*groups: str) -> tuple[str, ...]:
    return tuple(sorted({word for group in groups for word in group.split()}))


INNOCENT: tuple[str, ...] = _words(BODY_AND_MEDICINE, IDENTITY, NEWS_AND_HISTORY, PLAIN_WORDS)
"""No hits, in any language."""
