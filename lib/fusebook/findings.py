"""Findings in words: the templates of notebook 04 in English and Chinese side by side, and what a finding is."""

import re
from html import escape
from typing import NamedTuple

LANGUAGES = ("en", "zh")
SEVERITIES = ("serious", "look", "note")  # in this order on the page

# Each line: English, Chinese. Numbers come as text, intervals as "81.5 % [76.0, 86.5]".
SENTENCES = {
    "serious": ("serious", "严重"),
    "look": ("worth a look", "值得一看"),
    "note": ("for the record", "供参考"),
    "see": ("see", "见"),
    "better": (
        "{b} is better than {a}: {difference} points [{low}, {high}], {p}.",
        "{b}优于{a}：{difference} 个百分点 [{low}, {high}]，{p}。",
    ),
    "worse": (
        "{b} is worse than {a}: {difference} points [{low}, {high}], {p}.",
        "{b}不如{a}：{difference} 个百分点 [{low}, {high}]，{p}。",
    ),
    "no difference": (
        "No difference between {b} and {a} was shown: {difference} points [{low}, {high}], {p}; "
        "this many rows could show a difference of {detectable} points or more.",
        "未能证明{b}与{a}有差别：{difference} 个百分点 [{low}, {high}]，{p}；"
        "这么多行能够证明的差别至少为 {detectable} 个百分点。",
    ),
    "accuracy": (
        "{model} is right for {share} of the {rows} test rows; always answering the most frequent label for {base} %.",
        "{model}在 {rows} 行测试数据上的正确率为 {share}；总回答最常见标签的正确率为 {base} %。",
    ),
    "confused": (
        "Most confused: {label} taken for {predicted}, {count} rows, {share} of that label's.",
        "最常混淆：把“{label}”当成“{predicted}”，共 {count} 行，占该标签的 {share}。",
    ),
    "no mistake": ("No test row is wrong.", "测试数据没有一行预测错误。"),
    "weakest": (
        "The weakest class is {label}: F1 {share} over {rows} test rows.",
        "最弱的类别是“{label}”：{rows} 行测试数据上的 F1 为 {share}。",
    ),
    "calibration": (
        "Confidence misses accuracy by {error} on average (expected calibration error).",
        "置信度与正确率平均相差 {error}（期望校准误差）。",
    ),
    "coverage": (
        "Answering the surest {coverage} % of the test rows gives {share}.",
        "只回答最有把握的 {coverage} % 测试数据，正确率为 {share}。",
    ),
    "ledger": (
        "Joining the modalities: {rescued} test rows ({rescued_share}) were wrong in some modality and right in the end, "
        "{harmed} ({harmed_share}) the reverse.",
        "融合的得失：{rescued} 行测试数据（{rescued_share}）有单一模态判错而最终判对，{harmed} 行（{harmed_share}）相反。",
    ),
    "suspects": (
        "{count} of {rows} labels judged are suspect, {share} (label_suspects.csv).",
        "检查过的 {rows} 个标签中有 {count} 个可疑，占 {share}（label_suspects.csv）。",
    ),
    "planted": (
        "Of the {planted} wrong labels planted in the rows judged, the suspects hold {recall}; "
        "{precision} of the suspects are planted ones.",
        "检查范围内预先埋下的 {planted} 个错误标签，可疑名单找到 {recall}；名单中 {precision} 是埋下的。",
    ),
    "corrected": (
        "Against the corrected labels {model} is right for {share} of the test rows.",
        "按更正后的标签计，{model}在测试数据上的正确率为 {share}。",
    ),
    "more rows help": (
        "More training rows would help: {model} gained {difference} points [{low}, {high}] "
        "when they grew from {fewer} to {more}, {p}.",
        "更多训练数据会有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}提高 {difference} 个百分点 [{low}, {high}]，{p}。",
    ),
    "more rows no help": (
        "More training rows would not help: {model} changed by {difference} points [{low}, {high}] "
        "when they grew from {fewer} to {more}.",
        "更多训练数据没有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}变化 {difference} 个百分点 [{low}, {high}]。",
    ),
    "more rows unsure": (
        "Whether more training rows would help can't be told: {model} changed by {difference} points [{low}, {high}] "
        "when they grew from {fewer} to {more}, {p}.",
        "无法判断更多训练数据是否有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}变化 {difference} 个百分点 [{low}, {high}]，{p}。",
    ),
    "too few rows": (
        "Too few training rows to see how the score grows with them.",
        "训练数据太少，看不出成绩如何随数据量变化。",
    ),
    "slice": (
        "Wrong more often than the rest: {slice}: {error} of {rows} rows, {lift} times the error of all, {p} "
        "after correction for {looked_at} slices.",
        "比其余数据更常出错：{slice}：{rows} 行中出错 {error}，是总体错误率的 {lift} 倍，对 {looked_at} 个子集校正后 {p}。",
    ),
    "no slice": (
        "No slice stands out: of {looked_at} looked at, none is wrong more often than chance would have it.",
        "没有突出的子集：检查了 {looked_at} 个，没有一个的错误多于偶然。",
    ),
    "at most": ("{fact} at most {high}", "{fact}不超过 {high}"),
    "above": ("{fact} above {low}", "{fact}大于 {low}"),
    "between": ("{fact} above {low}, at most {high}", "{fact}大于 {low} 且不超过 {high}"),
    "is": ("{fact} is “{value}”", "{fact}为“{value}”"),
    "missing": ("{fact} is missing", "缺少{fact}"),
    "not so": ("not ({condition})", "非（{condition}）"),
    "and": (" and ", "，且"),
    "header lines": ("the header lines", "邮件头"),
    "first tokens": ("the first five words", "开头五个词"),
    "digits and punctuation": ("the digits and punctuation", "数字和标点"),
    "length": ("the length", "文本长度"),
    "shortcut": (
        "A shortcut: a linear model that reads {part} alone ({size} % of the words) is right for {alone}, one that reads "
        "as many words from anywhere for {anywhere} %, the majority for {base} %. Trained again without them: "
        "{drop} points [{low}, {high}], {p}.",
        "发现捷径：只读{part}（占词数的 {size} %）的线性模型正确率为 {alone}，随处取同样多的词为 {anywhere} %，"
        "多数类为 {base} %。去掉后重新训练：{drop} 个百分点 [{low}, {high}]，{p}。",
    ),
    "shortcut unneeded": (
        "Perhaps a shortcut: a linear model that reads {part} alone ({size} % of the words) is right for {alone}, one "
        "that reads as many words from anywhere for {anywhere} %, the majority for {base} %. Trained again without them "
        "it loses nothing sure: {drop} points [{low}, {high}], {p}.",
        "可能是捷径：只读{part}（占词数的 {size} %）的线性模型正确率为 {alone}，随处取同样多的词为 {anywhere} %，"
        "多数类为 {base} %。去掉后重新训练，没有可证实的损失：{drop} 个百分点 [{low}, {high}]，{p}。",
    ),
    "shortcut of length": (
        "A shortcut: a linear model that knows {part} of a text alone is right for {alone}, the majority for {base} %.",
        "发现捷径：只知道{part}的线性模型正确率为 {alone}，多数类为 {base} %。",
    ),
    "no shortcut": (
        "No shortcut found: no small part of the texts says as much of the label as the probe asks for. A linear model "
        "that reads all is right for {whole} of the {rows} test rows, the majority for {base} %.",
        "未发现捷径：文本中没有哪一小部分足以透露标签。读全文的线性模型在 {rows} 行测试数据上正确率为 {whole}，多数类为 {base} %。",
    ),
}  # fmt: skip

# Names of facts that the program knows: English to Chinese.
FACTS = {
    "characters": "字符数", "unknown words": "未知词比例", "script": "文字", "digits": "数字个数", "has text": "有文本",
    "has picture": "有图片", "has sound": "有声音", "picture brightness": "图片亮度", "picture blur": "图片清晰度",
    "sound seconds": "声音秒数", "sound loudness": "声音响度", "near-duplicate": "近似重复",
}  # fmt: skip


class Finding(NamedTuple):
    """One finding: how severe it is (one of ``SEVERITIES``), what it says, and the heading on the page that shows it."""

    severity: str
    text: str
    place: str


def say(key: str, language: str = "en", **values) -> str:
    """The sentence ``key`` in ``language`` ("en" or "zh") with ``values`` filled in.

    Raises ValueError for a language without templates.
    """
    if language not in LANGUAGES:
        raise ValueError(f"The language is {language!r}; expected one of {', '.join(LANGUAGES)}.")
    return SENTENCES[key][LANGUAGES.index(language)].format(**values)


def language_of(sentence: str) -> str:
    """The language in which ``say`` filled ``sentence`` in, whatever the script of the names in it: by its full stop."""
    return "zh" if sentence.endswith("。") else "en"


def fact_name(fact: str, language: str = "en") -> str:
    """The name of a fact in ``language``; that of a column of the person's stays what it is."""
    return FACTS.get(fact, fact) if language == "zh" else fact


def finding(severity: str, place: str, key: str, language: str = "en", **values) -> Finding:
    """A ``Finding`` from a template; numbers of 1,000 and more get a separator."""
    shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
    text = say(key, language, **shown)
    return Finding(severity, text[:1].upper() + text[1:], place)  # it may begin with a model's name


def ranked(findings: list[Finding], most: int = 8) -> list[Finding]:
    """The ``most`` severe findings, the severest first, else in the order given; those without a severity come last."""
    return sorted(findings, key=lambda found: (*SEVERITIES, "").index(found.severity))[:most]


def as_markdown(findings: list[Finding], language: str = "en") -> str:
    """The findings as a numbered list in Markdown, each with its severity and a link to its place, where it has them.

    Names in the findings can't become markup.
    """
    lines = []
    for found in findings:
        grade = f"**{say(found.severity, language)}**: " if found.severity else ""
        link = f" ([{say('see', language)} “{found.place}”](#{anchor(found.place)}))" if found.place else ""
        lines.append(f"{grade}{markdown_safe(found.text)}{link}")
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))


def anchor(heading: str) -> str:
    """The anchor that a page gives to ``heading``, without the # before it."""
    return heading.replace(" ", "-")


def markdown_safe(text: str) -> str:
    """``text`` as Markdown that shows just these characters: no HTML, no emphasis, links or formulas."""
    plain = escape(" ".join(text.split()), quote=False)
    # An address with a colon of its own would become a link.
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", plain).replace("://", "&#58;//")


def p_text(p: float) -> str:
    """A p-value as people read it: ``p = 0.012``, ``p < 0.0001``."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def graded(value: float, look: float, serious: float) -> str:
    """The severity of a value that is bad when high: serious from ``serious`` on, look from ``look`` on, else note."""
    return "serious" if value >= serious else "look" if value >= look else "note"
