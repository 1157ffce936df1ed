"use strict";
// The twin of JupyterLab's inspector on a page: filters, the rows found, a row's card, the confusion matrix and a
// threshold, from the data that fusebook.twin embeds. It asks no network, writes nothing, and makes all text with
// textContent, so that nothing of a table can become markup.
(() => {
  const PAGE = 20; // rows of a page, as inspection.PAGE_SIZE
  const ORDERS = [
    ["confidence", "confidence, highest first", false], ["confidence", "confidence, lowest first", true],
    ["loss", "loss, highest first", false], ["loss", "loss, lowest first", true],
    ["suspicion", "suspicion, highest first", false], ["suspicion", "suspicion, lowest first", true],
    ["row", "row number, rising", true], ["row", "row number, falling", false],
  ];

  const number = (value) => value.toLocaleString("en");
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  /** An element; attributes that are functions listen, the other ones are set; children are nodes or texts. */
  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** Base64 of 64-bit floats as an array of numbers. */
  function floats(text) {
    return new Float64Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  /** The data with numbers as arrays, and functions: what is held of a row's text, and case folded as by str.casefold. */
  function unpack(section) {
    const data = JSON.parse(section.querySelector('script[type="application/json"]').textContent);
    data.confidence = floats(data.confidence);
    data.loss = floats(data.loss);
    if (data.suspicion) {
      const doubt = new Float64Array(data.row.length);
      for (const [place, value] of data.suspicion) doubt[place] = value;
      data.suspicion = doubt;
    }
    data.slices = new Map(Object.entries(data.slices).map(([name, places]) => [name, new Set(places)]));
    const special = new RegExp(`[${Object.keys(data.fold).join("")}]`, "g");
    data.foldCase = (text) => text.replace(special, (letter) => data.fold[letter]).toLowerCase().replaceAll("ς", "σ");
    data.held = (i) => data.cards[i]?.text ?? data.text[i];
    data.partly = data.text.includes(null) || Object.keys(data.length).length > 0;
    return data;
  }

  const everything = () => ({
    split: "", label: "", predicted: "", right: "", low: 0, high: 100, slice: "", search: "",
  });

  /** The places of the rows for which all that is asked holds, in the order of the table; as inspection.filter_rows. */
  function filterRows(data, asked) {
    const low = asked.low / 100, high = asked.high / 100, narrow = low > 0 || high < 1;
    const slice = data.slices.get(asked.slice), search = data.foldCase(asked.search);
    if (search && !data.folded) data.folded = data.row.map((_, i) => (data.held(i) === null ? null : data.foldCase(data.held(i))));
    const found = [];
    for (let i = 0; i < data.row.length; i++) {
      if (asked.split !== "" && data.split[i] !== Number(asked.split)) continue;
      if (asked.label !== "" && data.label[i] !== Number(asked.label)) continue;
      if (asked.predicted !== "" && data.predicted[i] !== Number(asked.predicted)) continue;
      if (asked.right !== "") {
        if (data.predicted[i] < 0 || (data.predicted[i] === data.label[i]) !== (asked.right === "right")) continue;
      }
      if (narrow && !(data.confidence[i] >= low && data.confidence[i] <= high)) continue;
      if (slice && !slice.has(i)) continue;
      if (search && (data.folded[i] === null || !data.folded[i].includes(search))) continue;
      found.push(i);
    }
    return found;
  }

  /** Places by one of ORDERS; equals stay in order, unknown numbers come last; as inspection.sort_rows. */
  function sortRows(data, places, [name, , rising]) {
    const values = data[name], sign = rising ? 1 : -1;
    return places.sort((a, b) => {
      const gone = Number(Number.isNaN(values[a])) - Number(Number.isNaN(values[b]));
      return gone || (Number.isNaN(values[a]) ? a - b : sign * (values[a] - values[b]) || a - b);
    });
  }

  /** The colour of an effect: blue speaks for the predicted class, orange against it. */
  function shade(effect, most) {
    return `rgba(${effect > 0 ? "59,125,216" : "224,123,57"},${((0.55 * Math.abs(effect)) / most).toFixed(2)})`;
  }

  const strongest = (effects) => Math.max(0.001, ...effects.map(Math.abs)); // what is less has no full colour

  /** The picture as the model sees it, cut square and in grey, each patch shaded by what covering it does. */
  function patchMap(source, patches) {
    const most = strongest(patches.map((patch) => patch[4]));
    const box = make("span", { class: "fb-patches" }, make("img", { src: source, alt: "" }));
    for (const [top, bottom, left, right, effect] of patches) {
      const patch = make("span", { title: (effect < 0 ? "" : "+") + effect.toFixed(3) });
      Object.assign(patch.style, { background: shade(effect, most), top: `${100 * top}%`, left: `${100 * left}%`, height: `${100 * (bottom - top)}%`, width: `${100 * (right - left)}%` });
      box.append(patch);
    }
    const [top, bottom, left, right, effect] = patches.reduce((a, b) => (Math.abs(b[4]) > Math.abs(a[4]) ? b : a));
    const place = `${Math.round(50 * (left + right))} % from the left and ${Math.round(50 * (top + bottom))} % from the top`;
    const said = Math.abs(effect) < 0.0005 ? "No patch by itself moves the probability."
      : `The patch ${place} matters most: covering it moves the probability by ${effect < 0 ? "+" : "-"}${(100 * Math.abs(effect)).toFixed(1)} points.`;
    return make("figure", { class: "fb-seen" }, box, make("figcaption", {}, said));
  }

  /** The text with each word shaded by its effect. Places of words count letters as Python does. */
  function colouredText(text, words) {
    const letters = Array.from(text), made = [];
    const most = strongest(words.map((word) => word[2]));
    let place = 0;
    for (const [start, end, effect] of words) {
      made.push(letters.slice(place, start).join(""));
      const mark = make("mark", { title: (effect < 0 ? "" : "+") + effect.toFixed(3) }, letters.slice(start, end).join(""));
      mark.style.background = shade(effect, most);
      made.push(mark);
      place = end;
    }
    return [...made, letters.slice(place).join("")];
  }

  /** What each model says: its likeliest labels, each with a bar. */
  function votesTable(data, votes, i) {
    const label = data.label[i], parts = Number(data.parts[i]);
    const missing = { image: !(parts & 1), audio: !(parts & 2), text: data.text[i] === "" }; // such a model answers by class shares
    const lines = votes.map((pairs, k) => {
      if (!pairs.length) return ""; // the model was not asked about this row
      const cells = [];
      for (let i = 0; i < pairs.length; i += 2) {
        const bar = make("span", { class: "fb-bar", "aria-hidden": "true" });
        bar.style.width = `${pairs[i + 1] / 10}%`;
        const said = `${data.labels[pairs[i]]} ${percent(pairs[i + 1] / 1000)}`;
        cells.push(make("td", { class: "left" }, pairs[i] === label ? make("b", {}, said) : said, bar));
      }
      return make("tr", {}, make("th", { scope: "row" }, data.models[k], missing[data.models[k]] ? make("small", {}, " (not in this row)") : ""), ...cells);
    });
    const caption = make("caption", {}, "What each model says, the likeliest first; the row's label is bold");
    return make("table", { class: "fb-say" }, caption, make("tbody", {}, ...lines));
  }

  /** The card of one row: all that the page has of it. */
  function rowCard(section, data, i) {
    const held = data.cards[i] || {}, text = data.held(i);
    const still = section.querySelector(`.fb-cards article[data-row="${data.row[i]}"]`);
    const source = (name, tag) => held[name] || still?.querySelector(tag)?.getAttribute("src");
    const picture = source("picture", "img"), sound = source("sound", "audio");
    const facts = [`row ${data.row[i]}`, data.splits[data.split[i]], `label ${data.labels[data.label[i]]}`];
    if (data.predicted[i] < 0) facts.push("no prediction, as the models learnt from it");
    else facts.push(`predicted ${data.labels[data.predicted[i]]} (${percent(data.confidence[i])})`, `loss ${data.loss[i].toFixed(3)}`);
    if (data.suspicion?.[i] > 0) facts.push(`suspicion ${data.suspicion[i].toFixed(3)}`);
    const card = make("article", { class: "fb-card" }, make("p", { class: "fb-head" }, facts.join(" · ")));
    const slices = [...data.slices].filter(([, places]) => places.has(i)).map(([name]) => name);
    if (slices.length) card.append(make("p", {}, make("small", {}, `in the slice ${slices.join("; ")}`)));
    const body = make("div", { class: "fb-body" });
    if (picture) body.append(make("img", { src: picture, alt: "picture of the row" }));
    const words = make("p", { class: "fb-text", dir: "auto" });
    if (text === null) words.append(make("small", {}, "The text was left out of this page."));
    else if (text === "") words.append(make("small", {}, "(no text)"));
    else words.append(...colouredText(text, held.words || []));
    const more = i in data.length ? data.length[i] - Array.from(text).length : 0;
    if (more > 0) words.append(make("small", {}, ` … and ${number(more)} characters more`));
    body.append(words);
    card.append(body);
    if (picture && held.patches?.length) card.append(patchMap(picture, held.patches));
    if (sound) card.append(make("audio", { controls: true, preload: "metadata", src: sound, "aria-label": "sound of the row" }));
    const left = [["picture", 1, picture], ["sound", 2, sound]].filter(([, bit, url]) => Number(data.parts[i]) & bit && !url);
    if (left.length) card.append(make("p", {}, make("small", {}, `The row's ${left.map(([name]) => name).join(" and ")} was left out of this page.`)));
    if (held.votes?.length) card.append(votesTable(data, held.votes, i));
    return card;
  }

  /** A labelled control. */
  const labelled = (words, control) => make("label", {}, make("span", {}, words), control);

  function choice(words, options, change) {
    const select = make("select", { change: () => change(select.value) });
    select.append(...options.map(([value, text]) => make("option", { value }, text)));
    return [labelled(words, select), select];
  }

  function share(words, value, change) {
    const input = make("input", { type: "number", min: 0, max: 100, step: 1, value, inputmode: "numeric", input: () => {
      if (input.value !== "" && input.validity.valid) change(Number(input.value));
    } });
    return [labelled(words, input), input];
  }

  /** The confusion matrix as a table of buttons; arrow keys go from one to the next. */
  function matrix(data, pick) {
    const counts = new Map(data.cells.map(([t, p, count]) => [`${t} ${p}`, count]));
    const buttons = data.order.map(() => []);
    const head = make("tr", {}, make("th", { scope: "col" }, "true ↓ predicted →"));
    head.append(...data.order.map((p) => make("th", { scope: "col" }, make("span", { dir: "auto" }, data.labels[p]))));
    const totals = data.labels.map(() => 0);
    for (const [t, , count] of data.cells) totals[t] += count;
    const lines = data.order.map((t, row) => {
      const line = make("tr", {}, make("th", { scope: "row", dir: "auto", title: data.labels[t] }, data.labels[t]));
      data.order.forEach((p, column) => {
        const count = counts.get(`${t} ${p}`) || 0, cell = make("td");
        if (count) {
          const said = `${number(count)} of ${number(totals[t])} rows labelled ${data.labels[t]} predicted ${data.labels[p]}`;
          const button = make("button", { type: "button", tabindex: -1, "aria-label": said, title: said, "aria-pressed": "false" }, number(count));
          button.addEventListener("click", () => { focusOn(button); pick(t, p); });
          button.style.background = `rgba(${t === p ? "59,125,216" : "224,123,57"},${(0.1 + (0.5 * count) / totals[t]).toFixed(2)})`;
          Object.assign(button.dataset, { label: t, predicted: p });
          buttons[row][column] = button;
          cell.append(button);
        } else cell.append(make("span", { class: "fb-zero" }, "0"));
        line.append(cell);
      });
      return line;
    });
    const all = buttons.flat().filter(Boolean);
    let current = all[0];
    if (current) current.tabIndex = 0;
    function focusOn(button) {
      current.tabIndex = -1;
      current = button;
      current.tabIndex = 0;
      current.focus();
    }
    function move(event) {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      let [row, column] = [data.order.indexOf(Number(current.dataset.label)), data.order.indexOf(Number(current.dataset.predicted))];
      do { row += step[0]; column += step[1]; } while (buttons[row] && column >= 0 && column < data.order.length && !buttons[row][column]);
      if (buttons[row]?.[column]) focusOn(buttons[row][column]);
    }
    const some = data.order.length < data.labels.length ? ` Shown are the ${data.order.length} of ${data.labels.length} classes with the most mistakes.` : "";
    const title = make("p", {}, `What the model “${data.models[0]}” made of the ${data.scored} rows. Choose a number to list its rows; arrow keys go to the next.${some}`);
    const caption = make("caption", { class: "fb-hidden" }, `Confusion matrix of the ${data.scored} rows`);
    const table = make("table", { class: "fb-matrix", keydown: move }, caption, make("thead", {}, head), make("tbody", {}, ...lines));
    return { box: make("div", {}, title, make("div", { class: "fb-scroll fb-tall" }, table)), buttons: all };
  }

  /** The slider: coverage and accuracy of the scored rows at or above a confidence, as the library counted them. */
  function threshold(data) {
    const answer = make("output");
    const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: 0, input: tell });
    const words = make("span");
    function tell() {
      const [answered, right, low, high] = data.coverage[Number(slider.value)];
      words.textContent = `answer only from this confidence on: ${slider.value} %`;
      answer.textContent = answered === 0 ? `None of ${number(data.n_scored)} ${data.scored} rows is that sure.`
        : `${number(answered)} of ${number(data.n_scored)} ${data.scored} rows are answered (${percent(answered / data.n_scored)}), `
        + `${number(right)} of them right: accuracy ${percent(right / answered)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}].`;
    }
    tell();
    return make("div", { class: "fb-threshold" }, make("label", {}, words, slider), answer);
  }

  function start(section) {
    const data = unpack(section);
    const asked = everything();
    const orders = ORDERS.filter(([name]) => name !== "suspicion" || data.suspicion);
    let order = orders[0], page = 1, open = -1, found = [];

    const change = (name) => (value) => { asked[name] = value; page = 1; open = -1; render(); };
    const names = data.labels.map((name, k) => [k, name]);
    const used = [...new Set(data.predicted)].filter((k) => k >= 0).sort((a, b) => a - b);
    const controls = {
      split: choice("rows of", [["", "all splits"], ...data.splits.map((name, k) => [k, name])], change("split")),
      label: choice("label", [["", "any"], ...names], change("label")),
      predicted: choice("predicted", [["", "any"], ...used.map((k) => names[k])], change("predicted")),
      right: choice("answer", [["", "right or wrong"], ["wrong", "wrong"], ["right", "right"]], change("right")),
      low: share("confidence from, %", 0, change("low")),
      high: share("to, %", 100, change("high")),
    };
    if (data.slices.size) controls.slice = choice("slice", [["", "any"], ...[...data.slices.keys()].map((name) => [name, name])], change("slice"));
    const search = make("input", { type: "search", dir: "auto", input: () => change("search")(search.value) });
    controls.search = [labelled("text has", search), search];
    const [sorting, sorted] = choice("sort by", orders.map(([, words], k) => [k, words]), (k) => { order = orders[k]; page = 1; open = -1; render(); });

    const status = make("p", { role: "status", class: "fb-status" });
    const body = make("tbody");
    const columns = ["row", "text", "label", "predicted", "confidence"];
    const table = make("table", { class: "fb-rows" }, make("caption", { class: "fb-hidden" }, "The rows found"),
      make("thead", {}, make("tr", {}, ...columns.map((name, k) => make("th", { scope: "col", class: k < 4 ? "left" : "" }, name)))), body);
    const turn = (step) => () => { page += step; open = -1; render(); };
    const before = make("button", { type: "button", click: turn(-1) }, "← previous");
    const after = make("button", { type: "button", click: turn(1) }, "next →");
    const place = make("span");

    function set(values) {
      Object.assign(asked, everything(), values);
      for (const [name, [, control]] of Object.entries(controls)) control.value = asked[name];
      page = 1;
      open = -1;
      render();
    }
    const scored = String(data.splits.indexOf(data.scored));
    const picked = matrix(data, (t, p) => {
      set({ split: scored, label: String(t), predicted: String(p) });
      status.scrollIntoView({ block: "nearest" });
    });
    const reset = make("button", { type: "button", click: () => set({}) }, "all rows");

    function line(i) {
      const text = data.held(i), wrong = data.predicted[i] !== data.label[i];
      const start = text === null ? "(left out)" : Array.from(text.slice(0, 300)).slice(0, 120).join("") || "(no text)";
      const known = data.predicted[i] >= 0;
      const button = make("button", { type: "button", "aria-expanded": String(open === i), "aria-label": `row ${data.row[i]}, show its card` }, data.row[i]);
      const sign = known ? make("span", { class: wrong ? "fb-miss" : "fb-hit" }, wrong ? "✗ wrong " : "✓ ") : "–";
      const made = make("tr", { "data-row": data.row[i] }, make("td", {}, button),
        make("td", { class: "left text" }, make("span", { dir: "auto" }, text?.length > start.length ? `${start}…` : start)),
        make("td", { class: "left" }, make("bdi", {}, data.labels[data.label[i]])),
        make("td", { class: "left" }, sign, known ? make("bdi", {}, data.labels[data.predicted[i]]) : ""),
        make("td", {}, known ? percent(data.confidence[i]) : "–"));
      made.addEventListener("click", (event) => {
        if (event.target !== button && String(getSelection())) return; // who marks text doesn't want to open a card
        open = open === i ? -1 : i;
        render();
        body.querySelector(`tr[data-row="${data.row[i]}"] button`).focus({ preventScroll: true });
      });
      return made;
    }

    function render() {
      found = sortRows(data, filterRows(data, asked), order);
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = Math.min(Math.max(page, 1), pages);
      const unseen = asked.search && data.partly ? ", as far as this page holds their texts" : "";
      const said = `${number(found.length)} of ${number(data.row.length)} rows found${unseen}`;
      if (status.textContent !== said) status.textContent = said;
      place.textContent = `page ${number(page)} of ${number(pages)}`;
      before.disabled = page === 1;
      after.disabled = page === pages;
      const lines = [];
      for (const i of found.slice((page - 1) * PAGE, page * PAGE)) {
        lines.push(line(i));
        if (open === i) lines.push(make("tr", { class: "fb-open" }, make("td", { colspan: columns.length, class: "left" }, rowCard(section, data, i))));
      }
      body.replaceChildren(...lines);
      for (const button of picked.buttons) {
        const here = asked.split === scored && asked.label === button.dataset.label && asked.predicted === button.dataset.predicted;
        if ((button.getAttribute("aria-pressed") === "true") !== here) button.setAttribute("aria-pressed", String(here));
      }
    }

    section.querySelector('script[type="application/json"]').before(
      threshold(data), picked.box,
      make("fieldset", { class: "fb-controls" }, make("legend", {}, "Which rows?"), ...Object.values(controls).map(([label]) => label), sorting, reset),
      status, make("div", { class: "fb-scroll" }, table), make("div", { class: "fb-turn", role: "group", "aria-label": "pages of rows" }, before, place, after));
    const mistakes = data.row.some((_, i) => data.splits[data.split[i]] === data.scored && data.predicted[i] !== data.label[i]);
    set({ split: scored, right: mistakes ? "wrong" : "" });
    section.classList.add("fb-live");
  }

  document.querySelectorAll("section.fb-twin").forEach(start);
})();
