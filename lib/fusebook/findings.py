"""What a page says: every finding as a template in English and Chinese side by side, and the heading it belongs to."""

import re
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

import numpy as np

LANGUAGES = ("en", "zh")
SEVERITIES = ("serious", "look", "note")  # in this order on the page

# Where on the pages a finding belongs: topic to notebook and heading. A finding knows its place through this table alone.
PLACES = {
    "table": ("01_explore", "The table as it came"),
    "labels": ("01_explore", "How many rows has each label?"),
    "copies": ("01_explore", "Which texts say the same?"),
    "parts": ("01_explore", "Which parts are missing?"),
    "planted": ("01_explore", "How many of the planted faults did our checks find?"),
    "split": ("02_preprocess", "Three kinds of rows"),
    "vectors": ("02_preprocess", "From words to vectors"),
    "ngrams": ("02_preprocess", "From text to n-grams"),
    "features": ("02_preprocess", "All rows, all modalities"),
    "test": ("03_train", "The test"),
    "fusion": ("03_train", "Is fusion worth it?"),
    "parts used": ("03_train", "Does the model use each part?"),
    "kinds": ("03_train", "What does the model read of the text?"),
    "rescued": ("03_train", "Rescued and harmed"),
    "score": ("04_error_analysis", "How sure is the score?"),
    "better": ("04_error_analysis", "Is it better than the others?"),
    "confusion": ("04_error_analysis", "Which classes does it confuse?"),
    "classes": ("04_error_analysis", "How good is each class?"),
    "confidence": ("04_error_analysis", "How sure may one be?"),
    "ledger": ("04_error_analysis", "What did each modality do?"),
    "slices": ("04_error_analysis", "What do the mistakes have in common?"),
    "shortcuts": ("04_error_analysis", "Does a shortcut give the label away?"),
    "suspects": ("04_error_analysis", "Which labels may be wrong?"),
    "sizes": ("04_error_analysis", "Would more rows help?"),
    "votes": ("05_inspect", "What does each model say?"),
    "without": ("05_inspect", "What if a part were missing?"),
    "where": ("05_inspect", "Where in the row?"),
    "judges": ("05_inspect", "Does another judge agree on the words?"),
    "new rows": ("06_predict", "The new rows"),
    "answers": ("06_predict", "The answers"),
    "verdict": ("07_compare", "Is one better?"),
    "rows compared": ("07_compare", "Which rows were compared?"),
    "how made": ("07_compare", "What differs between the runs?"),
}

# Words that stand in sentences: English, Chinese.
WORDS = {
    "serious": ("serious", "严重"),
    "look": ("worth a look", "值得一看"),
    "note": ("for the record", "供参考"),
    "see": ("see", "见"),
    "at most": ("{fact} at most {high}", "{fact}不超过 {high}"),
    "above": ("{fact} above {low}", "{fact}大于 {low}"),
    "between": ("{fact} above {low}, at most {high}", "{fact}大于 {low} 且不超过 {high}"),
    "is": ("{fact} is “{value}”", "{fact}为“{value}”"),
    "missing": ("{fact} is missing", "缺少{fact}"),
    "not so": ("not ({condition})", "非（{condition}）"),
    "and": (" and ", "，且"),
    "run": ("run {name}", "运行“{name}”"),
    "header lines": ("the header lines", "邮件头"),
    "first tokens": ("the first five words", "开头五个词"),
    "digits and punctuation": ("the digits and punctuation", "数字和标点"),
    "length": ("the length", "文本长度"),
}

# Findings: topic ("" where whoever adds one says it), English, Chinese. Intervals come as text: "81.5 % [76.0, 86.5]".
SENTENCES = {
    # 00_mlp_by_hand
    "proofs": ("",
        "Back-propagation agrees with the measured slopes of {weights} weights to {slopes:.0e}, and with Keras, which "
        "computes in seven digits, to {keras:.0e}; trained side by side, the two losses stay within {apart:.1f} %.",
        "反向传播与 {weights} 个权重实测的斜率相差不超过 {slopes:.0e}，与按七位数字计算的 Keras 相差不超过 "
        "{keras:.0e}；并排训练时，两者的损失相差不超过 {apart:.1f} %。"),
    "model case": ("",
        "Model case, {rows} held-out rows: {hand} right by hand, {keras} in Keras, {straight} without a hidden layer, "
        "{majority} for always the most frequent class.",
        "示例任务，{rows} 行留出数据上的正确率：手写网络 {hand}，Keras {keras}，没有隐藏层 {straight}，总回答最常见的"
        "类别 {majority}。"),
    "training time": ("",
        "Training took {hand:.1f} s by hand and {keras:.1f} s in Keras with its compilation; a later epoch takes "
        "{ratio:.1f} times as long by hand as in Keras.",
        "手写网络训练用时 {hand:.1f} 秒，Keras 连同编译用时 {keras:.1f} 秒；之后的每一轮，手写网络的用时是 Keras 的 "
        "{ratio:.1f} 倍。"),
    "regression": ("",
        "Regression, root mean squared error on held-out rows: {hand} by hand, {reference} with scikit-learn, {mean} "
        "for the mean; the noise alone is 1.",
        "回归，留出数据上的均方根误差：手写网络 {hand}，scikit-learn {reference}，总回答均值 {mean}；单是噪声就为 1。"),
    "deep": ("",
        "In eight sigmoid layers the gradient shrinks to {sigmoid:.0e} of its size on the way down, in eight ReLU "
        "layers to {relu:.2f}.",
        "经过八个 sigmoid 层，梯度向下传到底时缩小到原来的 {sigmoid:.0e}；经过八个 ReLU 层为 {relu:.2f}。"),
    "by heart": ("",
        "With {rows} training rows, log loss on {test} test rows: majority {majority}, no remedy {plain}, early "
        "stopping {stopping}, dropout {dropout}, L2 penalty {penalty}.",
        "用 {rows} 行训练时，{test} 行测试数据上的对数损失：多数类 {majority}，不加措施 {plain}，提前停止 {stopping}，"
        "dropout {dropout}，L2 惩罚 {penalty}。"),
    # 01_explore
    "rows": ("table",
        "{rows} of {lines} rows go on; {whole} rows and {parts} single parts were refused (rejected.csv says "
        "why).",
        "{lines} 行中有 {rows} 行可用；{whole} 行和 {parts} 个单独的部分被拒绝（原因见 rejected.csv）。"),
    "labels": ("labels",
        "{count} labels; always answering {label} would be right for {base} % of the rows.",
        "共 {count} 个标签；总回答“{label}”的正确率为 {base} %。"),
    "copies": ("copies",
        "{rows} rows have a copy or a near copy ({groups} groups); {conflicts} of the groups carry two labels.",
        "{rows} 行有相同或近似的副本（{groups} 组）；其中 {conflicts} 组带有两个标签。"),
    "repairs": ("table",
        "{mended} garbled texts were mended and {tidied} labels tidied; {lost} texts have lost characters "
        "for good.",
        "修复了 {mended} 条乱码文本，整理了 {tidied} 个标签；{lost} 条文本的字符已无法恢复。"),
    "parts": ("parts",
        "Rows with a picture: {image} %, with a sound: {audio} %.",
        "有图片的行占 {image} %，有声音的行占 {audio} %。"),
    "planted faults": ("planted",
        "Of {planted} planted faults the checks found {recall} (missed: {missed}); {precision} of what they "
        "found was planted.",
        "预先埋下的 {planted} 处错误，检查找到 {recall}（遗漏：{missed}）；找到的错误中 {precision} 是埋下的。"),
    # 02_preprocess
    "split": ("split",
        "{train} rows to train on, {validation} for validation, {test} for the test.",
        "训练 {train} 行，验证 {validation} 行，测试 {test} 行。"),
    "features": ("features",
        "Features a row: {sizes}.",
        "每行的特征数：{sizes}。"),
    "known words": ("vectors",
        "{share} % of the words of test texts have a vector ({words} words have one).",
        "测试文本中 {share} % 的词有词向量（共 {words} 个词有词向量）。"),
    "broken vectors": ("vectors",
        "{count} lines of {file} were broken and left out.",
        "{file} 中有 {count} 行损坏，未使用。"),
    "long texts": ("ngrams",
        "{share} % of the test texts have more n-grams than the {width} that a network reads.",
        "{share} % 的测试文本的 n 元组多于网络读取的 {width} 个。"),
    "corrections": ("split",
        "Corrections: {changed} labels changed, {dropped} training rows taken out, {refused} lines not applied.",
        "更正：改动 {changed} 个标签，去掉 {dropped} 行训练数据，{refused} 行未能应用。"),
    # 03_train
    "against linear": ("test",
        "Against the linear baseline: {comparison}",
        "与线性基线相比：{comparison}"),
    "kinds used": ("kinds",
        "Points of accuracy that the text's network loses with one kind of features shuffled: {drops}.",
        "打乱一类特征后文本网络损失的正确率（百分点）：{drops}。"),
    "parts used": ("parts used",
        "Points of accuracy that feature-level fusion loses with one part shuffled: {drops}.",
        "打乱一个部分后特征级融合损失的正确率（百分点）：{drops}。"),
    "balance": ("rescued",
        "{fusion} rescued {rescued} of {rows} test rows and harmed {harmed}.",
        "{fusion}在 {rows} 行测试数据中挽救 {rescued} 行，损害 {harmed} 行。"),
    # 04_error_analysis
    "better": ("",
        "{b} is better than {a}: {difference} points [{low}, {high}], {p}.",
        "{b}优于{a}：{difference} 个百分点 [{low}, {high}]，{p}。"),
    "worse": ("",
        "{b} is worse than {a}: {difference} points [{low}, {high}], {p}.",
        "{b}不如{a}：{difference} 个百分点 [{low}, {high}]，{p}。"),
    "no difference": ("",
        "No difference between {b} and {a} was shown: {difference} points [{low}, {high}], {p}; this many "
        "rows could show a difference of {detectable} points or more.",
        "未能证明{b}与{a}有差别：{difference} 个百分点 [{low}, {high}]，{p}；这么多行能够证明的差别至少为 "
        "{detectable} 个百分点。"),
    "accuracy": ("score",
        "{model} is right for {share} of the {rows} test rows; always answering the most frequent label for "
        "{base} %.",
        "{model}在 {rows} 行测试数据上的正确率为 {share}；总回答最常见标签的正确率为 {base} %。"),
    "confused": ("confusion",
        "Most confused: {label} taken for {predicted}, {count} rows, {share} of that label's.",
        "最常混淆：把“{label}”当成“{predicted}”，共 {count} 行，占该标签的 {share}。"),
    "no mistake": ("confusion",
        "No test row is wrong.",
        "测试数据没有一行预测错误。"),
    "weakest": ("classes",
        "The weakest class is {label}: F1 {share} over {rows} test rows.",
        "最弱的类别是“{label}”：{rows} 行测试数据上的 F1 为 {share}。"),
    "calibration": ("confidence",
        "Confidence misses accuracy by {error} on average (expected calibration error).",
        "置信度与正确率平均相差 {error}（期望校准误差）。"),
    "coverage": ("confidence",
        "Answering the surest {coverage} % of the test rows gives {share}.",
        "只回答最有把握的 {coverage} % 测试数据，正确率为 {share}。"),
    "ledger": ("ledger",
        "Joining the modalities: {rescued} test rows ({rescued_share}) were wrong in some modality and right "
        "in the end, {harmed} ({harmed_share}) the reverse.",
        "融合的得失：{rescued} 行测试数据（{rescued_share}）有单一模态判错而最终判对，{harmed} 行（"
        "{harmed_share}）相反。"),
    "suspects": ("suspects",
        "{count} of {rows} labels judged are suspect, {share} (label_suspects.csv).",
        "检查过的 {rows} 个标签中有 {count} 个可疑，占 {share}（label_suspects.csv）。"),
    "planted": ("suspects",
        "Of the {planted} wrong labels planted in the rows judged, the suspects hold {recall}; {precision} "
        "of the suspects are planted ones.",
        "检查范围内预先埋下的 {planted} 个错误标签，可疑名单找到 {recall}；名单中 {precision} 是埋下的。"),
    "corrected": ("suspects",
        "Against the corrected labels {model} is right for {share} of the test rows.",
        "按更正后的标签计，{model}在测试数据上的正确率为 {share}。"),
    "more rows help": ("sizes",
        "More training rows would help: {model} gained {difference} points [{low}, {high}] when they grew "
        "from {fewer} to {more}, {p}.",
        "更多训练数据会有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}提高 {difference} 个百分点 ["
        "{low}, {high}]，{p}。"),
    "more rows no help": ("sizes",
        "More training rows would not help: {model} changed by {difference} points [{low}, {high}] when they "
        "grew from {fewer} to {more}.",
        "更多训练数据没有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}变化 {difference} 个百分点 ["
        "{low}, {high}]。"),
    "more rows unsure": ("sizes",
        "Whether more training rows would help can't be told: {model} changed by {difference} points [{low}, "
        "{high}] when they grew from {fewer} to {more}, {p}.",
        "无法判断更多训练数据是否有帮助：训练数据从 {fewer} 行增至 {more} 行，{model}变化 {difference} 个百分"
        "点 [{low}, {high}]，{p}。"),
    "too few rows": ("sizes",
        "Too few training rows to see how the score grows with them.",
        "训练数据太少，看不出成绩如何随数据量变化。"),
    "slice": ("slices",
        "Wrong more often than the rest: {slice}: {error} of {rows} rows, {lift} times the error of all, {p} "
        "after correction for {looked_at} slices.",
        "比其余数据更常出错：{slice}：{rows} 行中出错 {error}，是总体错误率的 {lift} 倍，对 {looked_at} 个子"
        "集校正后 {p}。"),
    "no slice": ("slices",
        "No slice stands out: of {looked_at} looked at, none is wrong more often than chance would have it.",
        "没有突出的子集：检查了 {looked_at} 个，没有一个的错误多于偶然。"),
    "shortcut": ("shortcuts",
        "A shortcut: a linear model that reads {part} alone ({size} % of the words) is right for {alone}, "
        "one that reads as many words from anywhere for {anywhere} %, the majority for {base} %. Trained "
        "again without them: {drop} points [{low}, {high}], {p}.",
        "发现捷径：只读{part}（占词数的 {size} %）的线性模型正确率为 {alone}，随处取同样多的词为 {anywhere} %"
        "，多数类为 {base} %。去掉后重新训练：{drop} 个百分点 [{low}, {high}]，{p}。"),
    "shortcut unneeded": ("shortcuts",
        "Perhaps a shortcut: a linear model that reads {part} alone ({size} % of the words) is right for "
        "{alone}, one that reads as many words from anywhere for {anywhere} %, the majority for {base} %. "
        "Trained again without them it loses nothing sure: {drop} points [{low}, {high}], {p}.",
        "可能是捷径：只读{part}（占词数的 {size} %）的线性模型正确率为 {alone}，随处取同样多的词为 "
        "{anywhere} %，多数类为 {base} %。去掉后重新训练，没有可证实的损失：{drop} 个百分点 [{low}, {high}]，"
        "{p}。"),
    "shortcut of length": ("shortcuts",
        "A shortcut: a linear model that knows {part} of a text alone is right for {alone}, the majority for "
        "{base} %.",
        "发现捷径：只知道{part}的线性模型正确率为 {alone}，多数类为 {base} %。"),
    "no shortcut": ("shortcuts",
        "No shortcut found: no small part of the texts says as much of the label as the probe asks for. A "
        "linear model that reads all is right for {whole} of the {rows} test rows, the majority for {base} %.",
        "未发现捷径：文本中没有哪一小部分足以透露标签。读全文的线性模型在 {rows} 行测试数据上正确率为 {whole}"
        "，多数类为 {base} %。"),
    # 05_inspect
    "row": ("votes",
        "Row {row} is labelled {label}; {model} says {predicted} ({confidence} %).",
        "第 {row} 行的标签是“{label}”；{model}判为“{predicted}”（{confidence} %）。"),
    "agreement": ("votes",
        "{agree} of the {models} models that can read this row agree with the label.",
        "能读取该行的 {models} 个模型中有 {agree} 个与标签一致。"),
    "without part": ("without",
        "Without {part}, {label} moves by {points} points.",
        "去掉{part}后，“{label}”变化 {points} 个百分点。"),
    "strongest word": ("where",
        "Leaving out “{word}” moves the probability by {points} points, the most of all words.",
        "去掉“{word}”使概率变化 {points} 个百分点，在所有词中最大。"),
    "strongest patch": ("where",
        "Covering the patch {across} % from the left and {down} % from the top moves the probability by "
        "{points} points, the most of all patches.",
        "遮住距左 {across} %、距上 {down} % 的图块使概率变化 {points} 个百分点，在所有图块中最大。"),
    "strongest band": ("where",
        "Muting {low} to {high} Hz moves the probability by {points} points, the most of all bands.",
        "去掉 {low} 至 {high} Hz 使概率变化 {points} 个百分点，在所有频带中最大。"),
    "strongest moment": ("where",
        "Muting {start} to {end} s moves the probability by {points} points, the most of all moments.",
        "去掉 {start} 至 {end} 秒使概率变化 {points} 个百分点，在所有时段中最大。"),
    "judges": ("judges",
        "Words left out and the linear model's weights agree with a rank correlation of {correlation} ("
        "{words} words).",
        "逐词去掉的效果与线性模型权重的秩相关为 {correlation}（{words} 个词）。"),
    # 06_predict
    "predicted": ("new rows",
        "{rows} new rows were predicted by {model}; {refused} parts or rows were refused.",
        "{model}预测了 {rows} 行新数据；{refused} 个部分或行被拒绝。"),
    "predicted again": ("new rows",
        "{rows} test rows, labels hidden, were predicted by {model}; {refused} parts or rows were refused.",
        "{model}预测了 {rows} 行隐去标签的测试数据；{refused} 个部分或行被拒绝。"),
    "unsure": ("answers",
        "The mean confidence is {confidence} %; below 50 %, and worth a person's look: {unsure} of {rows} rows.",
        "平均置信度为 {confidence} %；低于 50 %、值得人工查看的有 {unsure} 行（共 {rows} 行）。"),
    # 07_compare
    "same answers": ("verdict",
        "{b} gives each common test row the same answer as {a}.",
        "{b}对每一行共同的测试数据给出与{a}相同的答案。"),
    "rows compared": ("rows compared",
        "Rows compared, test rows of all {runs} runs: {rows}.",
        "参与比较的是 {runs} 次运行共有的测试数据：{rows} 行。"),
    "rows left out": ("rows compared",
        "Test rows of {a} left out, as {b} has them as training rows: {training}, as validation rows: "
        "{validation}, not at all: {absent}.",
        "{a}的测试数据中未参与比较的：在{b}中是训练数据的 {training} 行，是验证数据的 {validation} 行，不存在的 "
        "{absent} 行。"),
    "matched by number": ("rows compared",
        "Rows of {b} and {a} were matched by row number: both read the same table (equal SHA-256).",
        "{b}与{a}的数据按行号对应：两者读取同一个表格（SHA-256 相同）。"),
    "matched by content": ("rows compared",
        "Rows of {b} and {a} were matched by content ({parts}), as they read different tables or another state "
        "of one: the text must be the same, a picture or sound the same file, byte by byte.",
        "{b}与{a}的数据按内容（{parts}）对应，因为两者读取不同的表格或同一表格的不同版本：文本必须相同，图片或声音必"
        "须是逐字节相同的文件。"),
    "labels moved": ("rows compared",
        "Rows compared whose label is another in {b}: {rows}. The label in {a} counts; by the labels in {b} the "
        "difference in accuracy would be {difference} points [{low}, {high}], {p}.",
        "比较的数据中标签在{b}里不同的有 {rows} 行。以{a}的标签为准；按{b}的标签，正确率之差为 {difference} 个百分点 "
        "[{low}, {high}]，{p}。"),
    "labels apart": ("rows compared",
        "Not every run has these labels of {a}: {labels}. Where one is true, a run without it is wrong.",
        "并非每次运行都有{a}的这些标签：{labels}。真实标签是其中之一时，没有该标签的运行必定判错。"),
    "same run twice": ("rows compared",
        "The same run was named more than once.",
        "同一次运行被给出不止一次。"),
    "parameters unknown": ("how made",
        "{a} has neither run.json nor executed notebooks, so its parameters are not known.",
        "{a}既没有 run.json 也没有执行过的笔记本，所以参数未知。"),
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

    def _repr_markdown_(self) -> str:
        return markdown_safe(self.text)


class Findings(list):
    """What a notebook found, each a ``Finding``, in the order in which it was added.

    Parameters
    ----------
    notebook : the notebook's name, such as "03_train"
    language : of the sentences, one of ``LANGUAGES``; another one is a ValueError
    """

    def __init__(self, notebook: str, language: str = "en"):
        if language not in LANGUAGES:
            raise ValueError(f"The language is {language!r}; expected one of {', '.join(LANGUAGES)}.")
        super().__init__()
        self.notebook, self.language, self.linked = notebook, language, False

    def add(self, key: str, grade: str, *, topic: str = "", **facts) -> Finding:
        """Add the sentence ``key`` of ``SENTENCES`` with its facts; a cell whose last line this is shows the sentence.

        ``grade`` is one of ``SEVERITIES``. The place is that of the sentence's topic, or of ``topic``.
        """
        self.append(self.made(key, grade, topic=topic, **facts))
        return self[-1]

    def add_all(self, told: Iterable[tuple[str, str, dict]], *, topic: str = "", most: int | None = None) -> "Findings":
        """Add the first ``most`` of some key, grade and facts; returns them all, to be shown."""
        shown = Findings(self.notebook, self.language)
        shown += [self.made(key, grade, topic=topic, **facts) for key, grade, facts in told]
        self += shown[:most]
        return shown

    def made(self, key: str, grade: str, *, topic: str = "", **facts) -> Finding:
        """The ``Finding`` that ``add`` adds."""
        text = say(key, self.language, **facts)
        topic = topic or SENTENCES[key][0]
        return Finding(grade, text[:1].upper() + text[1:], PLACES[topic][1] if topic else "")

    def ranked(self, most: int = 8) -> "Findings":
        """The ``most`` severe ones, the severest first, else in their order."""
        made = Findings(self.notebook, self.language)
        made += sorted(self, key=lambda found: (*SEVERITIES, "").index(found.severity))[:most]
        return made

    def save(self, run) -> "Findings":
        """Keep them for the pages of ``run``, a ``runs.Run``; shown from now on, they have grades, and links to places."""
        run.write(f"findings/{self.notebook}.json", [found._asdict() for found in self])
        self.linked = True
        return self

    @classmethod
    def load(cls, run, notebook: str) -> "Findings":
        """What ``save`` kept for ``notebook``; none where nothing was kept."""
        made, name = cls(notebook), f"findings/{notebook}.json"
        made += [Finding(**found) for found in (run.read(name) if run.path(name).exists() else [])]
        return made

    def _repr_markdown_(self) -> str:
        if not self.linked:
            return "\n".join(f"- {markdown_safe(found.text)}" for found in self)
        return "\n".join(f"{i}. {self._line(found)}" for i, found in enumerate(self, 1))

    def _line(self, found: Finding) -> str:
        grade = f"**{word(found.severity, self.language)}**: " if found.severity else ""
        see = f"{word('see', self.language)} “{found.place}”"
        return f"{grade}{markdown_safe(found.text)}" + (f" ([{see}](#{anchor(found.place)}))" if found.place else "")


def say(key: str, language: str = "en", **facts) -> str:
    """The sentence ``key`` in ``language`` ("en" or "zh") with ``facts`` filled in; whole numbers get separators."""
    shown = {name: f"{value:,}" if isinstance(value, int | np.integer) else value for name, value in facts.items()}
    return SENTENCES[key][1 + LANGUAGES.index(language)].format(**shown)


def word(key: str, language: str = "en", **values) -> str:
    """The word or phrase ``key`` of ``WORDS`` in ``language``."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def language_of(sentence: str) -> str:
    """The language in which ``say`` filled ``sentence`` in, whatever the script of the names in it: by its full stop."""
    return "zh" if sentence.endswith("。") else "en"


def fact_name(fact: str, language: str = "en") -> str:
    """The name of a fact in ``language``; that of a column of the person's stays what it is."""
    return FACTS.get(fact, fact) if language == "zh" else fact


def capital(name: str) -> str:
    """``name`` as a sentence begins with it."""
    return name[:1].upper() + name[1:]


def anchor(heading: str) -> str:
    """The anchor that a page gives to ``heading``, without the # before it."""
    return heading.replace(" ", "-")


def shortened(text: str, most: int) -> str:
    """``text`` on one line, cut to ``most`` characters with a mark where it was longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


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
