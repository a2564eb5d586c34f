
/** Held-out problems down, models across: who solves what, and the responses to one problem. */
class Problems {
  constructor(groups) {
    this.models = DATA.models.filter((model) => groups.some((group) => group.when === model));
    this.problems = new Map();
    for (const group of groups) {
      if (!this.problems.has(group.id)) this.problems.set(group.id, new Map());
      this.problems.get(group.id).set(group.when, group);
    }
    this.picker = new Picker("held-out problem", () => this.show());
    this.sample = new Picker("sample", () => this.show());
    this.rows = new Map();
    this.view = el("div", { "aria-live": "polite" });
    this.node = el("div", {}, this.matrix(), el("div", { class: "controls" }, this.picker.node, this.sample.node), colourKey(), this.view);
    const most = Math.max(...groups.map((group) => group.samples.length));
    this.sample.fill([...Array(most).keys()].map((index) => [String(index), `#${index}`]));
    this.picker.fill([...this.problems].map(([id, models]) => [id, this.first(models).question.slice(0, 80)]), this.telling());
    this.show();
  }
  first(models) { return models.values().next().value; }
  right(group) { return group ? group.samples.filter((sample) => sample.verdict === "correct").length / group.samples.length : 0; }
  /** The problem whose solving changed most from the first model to the last. */
  telling() {
    const gain = ([, models]) => this.right(models.get(this.models.at(-1))) - this.right(models.get(this.models[0]));
    return [...this.problems].sort((a, b) => gain(b) - gain(a))[0][0];
  }
  matrix() {
    const head = el("tr", {}, el("th", { scope: "col" }, "problem"), ...this.models.map((model) => el("th", { scope: "col" }, model)));
    const rows = [...this.problems].map(([id, models]) => {
      const row = el("tr", {}, el("td", {}, el("button", { type: "button", class: "link", click: () => { this.picker.value = id; this.show(); } }, this.first(models).question)),
        ...this.models.map((model) => el("td", {}, this.marks(models.get(model)))));
      this.rows.set(id, row);
      return row;
    });
    return el("div", { class: "scroll card matrix", tabindex: 0 }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
  }
  marks(group) {
    if (!group) return "–";
    const right = group.samples.filter((sample) => sample.verdict === "correct").length;
    const marks = el("span", { class: "marks", role: "img", "aria-label": `${right} of ${group.samples.length} right` });
    marks.append(...group.samples.slice(0, 16).map((sample) => el("i", { class: sample.verdict === "correct" ? "ok" : null })));
    return marks;
  }
  show() {
    const models = this.problems.get(this.picker.value);
    for (const [id, row] of this.rows) row.className = id === this.picker.value ? "chosen" : "";
    const { question, gold, language } = this.first(models);
    const index = Number(this.sample.value);
    const cards = this.models.filter((model) => models.get(model)).map((model) => {
      const { samples } = models.get(model);
      return sampleCard(samples[Math.min(index, samples.length - 1)], language, 0, model);
    });
    this.view.replaceChildren(
      el("div", { class: "card question" }, el("div", { class: "q", dir: "auto" }, question), el("dl", {}, el("div", {}, el("dt", {}, "gold"), el("dd", { dir: "auto" }, gold)))),
      el("div", { class: "list" }, ...cards));
  }
}

function showProblems() {
  const groups = DATA.groups.filter((group) => DATA.models.includes(group.when));
  if (!groups.length) return;
  const section = document.getElementById("problems");
  section.querySelector(".body").append(new Problems(groups).node);
  section.hidden = false;
}

