const PAIRED = (DATA.models || []).length === 2;

function right(marks) { return [...marks].filter((mark) => mark === "1").length; }

function scored(marks) { return [...marks].filter((mark) => mark !== "u").length; }

/** Of the responses that have a verdict. */
function share(marks) { return scored(marks) ? right(marks) / scored(marks) : 0; }

function count(marks) {
  const without = marks.length - scored(marks);
  return `${right(marks)} of ${scored(marks)} right${without ? `, ${without} without a verdict` : ""}`;
}

const ORDERS = {
  suite: ["as in the suite", null],
  hardest: ["hardest first", (a, b) => total(a) - total(b)],
  easiest: ["easiest first", (a, b) => total(b) - total(a)],
  ...(PAIRED ? { gain: [`most in favour of ${DATA.models[1]} first`, (a, b) => gain(b) - gain(a)], loss: [`most in favour of ${DATA.models[0]} first`, (a, b) => gain(a) - gain(b)] } : {}),
};

function total(problem) { return problem.marks.reduce((sum, marks) => sum + share(marks), 0); }

function gain(problem) { return share(problem.marks[1]) - share(problem.marks[0]); }

const FILTERS = {
  all: ["all problems", () => true],
  mixed: ["right and wrong responses", (problem) => problem.marks.some((marks) => share(marks) > 0 && share(marks) < 1)],
  failed: ["never solved", (problem) => total(problem) === 0],
  solved: ["always solved", (problem) => problem.marks.every((marks) => share(marks) === 1)],
  unscored: ["with responses that have no verdict", (problem) => problem.marks.some((marks) => marks.includes("u"))],
  ...(PAIRED ? { first: [`${DATA.models[0]} better`, (problem) => gain(problem) < 0], second: [`${DATA.models[1]} better`, (problem) => gain(problem) > 0] } : {}),
};

function chooser(id, label, entries, onChange) {
  const select = el("select", { id, change: onChange }, ...Object.entries(entries).map(([value, [text]]) => el("option", { value }, text)));
  return [select, el("div", {}, el("label", { for: id }, label), select)];
}

/** Every response as a small square, a column a problem: right ones at the bottom. */
class Outcomes {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.svg = el("svg:svg", { tabindex: 0, role: "group", "aria-roledescription": "grid of problems", "aria-label": `${DATA.problems.length} problems; arrow keys choose one, Enter opens it` });
    this.caption = el("p", { class: "caption", "aria-live": "polite" });
    const [order, field] = chooser("outcome-order", "order", ORDERS, () => this.draw());
    this.order = order;
    this.chosen = null;
    const key = [["right", "right"], ["wrong", "wrong"], ["none", "no verdict"]].map(([name, text]) => el("span", {}, el("i", { class: `swatch ${name}` }), text));
    this.node = el("div", {},
      el("div", { class: "controls" }, field),
      el("p", { class: "key" }, ...key, el("span", {}, PAIRED ? `a column is a problem: ${DATA.models[0]} above, ${DATA.models[1]} below` : "a column is a problem, a square a response")),
      el("div", { class: "card outcomes" }, this.svg, this.caption));
    this.svg.addEventListener("pointermove", (event) => this.tell(this.at(event)));
    this.svg.addEventListener("pointerleave", () => this.tell(null));
    this.svg.addEventListener("click", (event) => this.open(this.at(event)));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.tell(null);
  }
  layout() {
    const width = Math.max(60, this.svg.clientWidth);
    const most = Math.max(1, ...DATA.problems.flatMap((problem) => problem.marks.map((marks) => marks.length)));
    const high = Math.max(3, Math.min(12, Math.floor(150 / most)));
    const step = Math.max(high < 8 ? 7 : high + 1, Math.min(26, Math.floor(width / DATA.problems.length)));
    const columns = Math.max(1, Math.floor(width / step));
    const rise = high < 5 ? high : high + 1;
    const strip = most * rise;
    const block = PAIRED ? 2 * strip + 4 : strip;
    return { width, high, rise, step, columns, strip, block, pitch: block + 12 };
  }
  draw() {
    const place = this.layout();
    const compare = ORDERS[this.order.value][1];
    this.shown = compare ? [...DATA.problems].sort(compare) : DATA.problems;
    const paths = { 1: "", 0: "", u: "" };
    this.shown.forEach((problem, index) => {
      const x = (index % place.columns) * place.step;
      const top = Math.floor(index / place.columns) * place.pitch;
      problem.marks.forEach((marks, model) => {
        const sorted = [...marks].sort((a, b) => "1u0".indexOf(a) - "1u0".indexOf(b));
        const foot = top + model * (place.strip + 4) + place.strip;
        sorted.forEach((mark, number) => { paths[mark] += `M${x} ${foot - (number + 1) * place.rise}h${place.step - 1}v${place.high}h${1 - place.step}z`; });
      });
    });
    const height = Math.ceil(this.shown.length / place.columns) * place.pitch - 8;
    this.svg.setAttribute("viewBox", `0 0 ${place.width} ${height}`);
    this.svg.setAttribute("height", height);
    this.frame = el("svg:rect", { class: "chosen", width: place.step + 1, height: place.block + 2, rx: 2, visibility: "hidden" });
    this.svg.replaceChildren(...[["1", "right"], ["0", "wrong"], ["u", "none"]].map(([mark, name]) => el("svg:path", { class: name, d: paths[mark] })), this.frame);
    this.place = place;
    this.mark();
  }
  mark() {
    const index = this.shown.indexOf(this.chosen);
    if (index < 0) return;
    this.frame.setAttribute("x", (index % this.place.columns) * this.place.step - 1);
    this.frame.setAttribute("y", Math.floor(index / this.place.columns) * this.place.pitch - 1);
    this.frame.setAttribute("visibility", "visible");
  }
  at(event) {
    const box = this.svg.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.place.step);
    if (column < 0 || column >= this.place.columns) return null;
    return this.shown[Math.floor((event.clientY - box.top) / this.place.pitch) * this.place.columns + column] || null;
  }
  tell(problem) {
    const shown = problem || this.chosen;
    if (!shown) { this.caption.textContent = "Point at a column to see its problem; click to read the responses."; return; }
    const counts = shown.marks.map((marks, model) => (PAIRED ? `${DATA.models[model]} ${count(marks)}` : count(marks)));
    this.caption.textContent = `${shown.question} – ${counts.join(", ")}`;
  }
  open(problem) {
    if (!problem) return;
    this.choose(problem);
    this.onOpen(problem);
  }
  choose(problem) {
    this.chosen = problem;
    if (this.shown) this.mark();
    this.tell(problem);
  }
  key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.place.columns, ArrowUp: -this.place.columns }[event.key];
    if (event.key === "Enter" && this.chosen) this.onOpen(this.chosen);
    if (by === undefined) return;
    event.preventDefault();
    const next = this.shown[Math.max(0, Math.min(this.shown.length - 1, this.shown.indexOf(this.chosen) + by))];
    this.choose(next);
  }
}

/** One problem at a time: the responses of one model, or of two side by side. */
class Reader {
  constructor(onShow) {
    this.onShow = onShow;
    this.known = DATA.problems.filter((problem) => DATA.groups[problem.key]);
    const [filter, field] = chooser("problem-filter", "show", FILTERS, () => this.list());
    this.filter = filter;
    this.problem = new Picker("problem", () => this.show());
    this.sample = new Picker("sample", () => this.show());
    this.view = el("div", { "aria-live": "polite" });
    const most = Math.max(1, ...this.known.map((problem) => Math.max(...DATA.groups[problem.key].samples.map((side) => side.length))));
    const numbers = [...Array(most).keys()].map((index) => [String(index), `#${index}`]);
    this.sample.fill(PAIRED ? [...numbers, ["all", "all"]] : [["all", "all"], ...numbers], PAIRED ? "0" : "all");
    this.node = el("div", {}, el("div", { class: "controls" }, field, this.problem.node, this.sample.node), this.key(), this.view);
    this.list(this.telling());
  }
  /** The problem to begin with: where two models differ most, or the first that is right and wrong. */
  telling() {
    const found = PAIRED ? [...this.known].sort((a, b) => Math.abs(gain(b)) - Math.abs(gain(a)))[0] : this.known.find(FILTERS.mixed[1]);
    return (found || this.known[0]).key;
  }
  key() {
    const entry = (classes, label) => el("span", { class: "text" }, el("span", { class: classes }, label));
    return el("p", { class: "key" }, entry("k", "thought"), entry("a", "answer"), entry("k r", "reflection word"), entry("k m", "other language"));
  }
  list(wanted) {
    const test = FILTERS[this.filter.value][1];
    const found = this.known.filter(test);
    if (!found.length) {
      this.view.replaceChildren(el("p", { class: "note" }, "None of the problems on this page is like that."));
      return;
    }
    this.problem.fill(found.map((problem) => [problem.key, `${Number(problem.key) + 1}. ${problem.question}`]), wanted ?? this.problem.value);
    this.show();
  }
  open(problem) {
    if (DATA.groups[problem.key]) {
      this.filter.value = "all";
      this.list(problem.key);
    } else {
      this.view.replaceChildren(el("p", { class: "note" }, `The responses to “${problem.question}” are not on this page; the result file holds them.`));
    }
    document.getElementById("samples").scrollIntoView();
  }
  show() {
    const problem = DATA.problems[Number(this.problem.value)];
    const group = DATA.groups[problem.key];
    const sides = group.samples.map((samples, model) => this.side(problem, group, samples, model));
    this.view.replaceChildren(this.heading(problem, group), PAIRED ? el("div", { class: "sides" }, ...sides) : sides[0]);
    this.onShow(problem);
  }
  side(problem, group, samples, model) {
    const chosen = this.sample.value === "all" ? samples : samples.filter((sample) => String(sample.sample) === this.sample.value);
    const cards = chosen.map((sample) => {
      const card = sampleCard(sample, group.language, 0);
      if (!sample.pieces.some(([, text]) => text.includes("think>"))) card.classList.add("plain");
      return card;
    });
    const list = el("div", { class: "list" }, ...(cards.length ? cards : [el("p", { class: "note" }, "There is no such response.")]));
    if (!PAIRED) return list;
    return el("div", { class: "side" }, el("h3", {}, DATA.models[model], el("span", { class: "soft" }, ` – ${count(problem.marks[model])}`)), list);
  }
  heading(problem, group) {
    const facts = [["gold", group.gold], PAIRED ? null : ["right", count(problem.marks[0])], ["language", group.language], ["id", group.id]].filter((fact) => fact && fact[1]);
    const prompts = group.prompts.every((prompt) => prompt === group.prompts[0]) ? group.prompts.slice(0, 1) : group.prompts;
    return el("div", { class: "card question" }, el("div", { class: "q", dir: "auto" }, group.question),
      el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)))),
      ...prompts.map((prompt, model) => (prompt ? el("details", { class: "note" }, el("summary", {}, prompts.length > 1 ? `Prompt of ${DATA.models[model]}` : "Prompt"), el("p", { class: "text", dir: "auto" }, prompt)) : null)));
  }
}

function showEvaluation() {
  if (!DATA.problems || !DATA.problems.length) return;
  let reader = null;
  const outcomes = new Outcomes((problem) => reader && reader.open(problem));
  const section = document.getElementById("outcomes");
  section.querySelector(".body").append(outcomes.node);
  section.hidden = false;
  if (!Object.keys(DATA.groups).length) return;
  reader = new Reader((problem) => outcomes.choose(problem));
  const samples = document.getElementById("samples");
  if (DATA.note) samples.querySelector(".body").append(el("p", { class: "note" }, DATA.note));
  samples.querySelector(".body").append(reader.node);
  samples.hidden = false;
}

showEvaluation();
