const VERDICTS = { correct: "✓ right", wrong: "✗ wrong", unparseable: "✗ no answer found", timeout: "not scored: timeout", error: "not scored: verifier error" };
const KINDS = { fix: "repaired a real error", false_alarm: "called a right value wrong", missed: "called a wrong value right" };
const MARKS = { r: "reflection word", m: "word of another language", fix: "a check that repaired a wrong value", caught: "a check that found a wrong value and put another wrong one in its place", alarm: "a check that called a right value wrong", missed: "a check that called a wrong value right", claim: "the value that is checked" };

function stepKey(place) { return `${place.stage}/${place.step}/${place.when}`; }

function signed(value) { return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`; }

/** A sample's text: pieces become text nodes, so that nothing in it can act as markup. */
function textOf(pieces, language) {
  const text = el("p", { class: "text", dir: "auto", lang: language || null });
  for (const [classes, content] of pieces) {
    const title = classes.split(" ").map((name) => MARKS[name]).filter(Boolean).join("; ");
    text.append(el("span", { class: classes, title: title || null }, content));
  }
  return text;
}

function colourKey() {
  const entry = (classes, label) => el("span", { class: "text" }, el("span", { class: classes }, label));
  return el("p", { class: "key" }, entry("k", "thought"), entry("a", "answer"), entry("k r", "reflection word"), entry("k m", "other language"),
    entry("k claim", "value under check"), entry("k fix", "repair"), entry("k missed", "false alarm or missed error"));
}

function rewardParts(sample) {
  const parts = Object.entries(sample.rewards).map(([name, value]) => `${name} ${value === null ? "–" : number(value)}`).join(" · ");
  return parts || null;
}

function sampleCard(sample, language, scale, title) {
  const unscored = ["timeout", "error"].includes(sample.verdict);
  const state = sample.verdict === "correct" ? "correct" : unscored ? "unscored" : "";
  const name = title || (sample.sample === null ? "sample" : `#${sample.sample}`);
  const card = el("article", { class: `card sample ${state}`, tabindex: -1, "aria-label": `sample ${name}, ${sample.verdict}` },
    el("header", {}, el("b", {}, VERDICTS[sample.verdict] || sample.verdict || "not judged"), el("span", {}, name),
      el("span", { class: "parts" }, sample.reward === null ? "" : `reward ${number(sample.reward)}`)));
  if (sample.advantage !== null) {
    const width = scale ? (50 * Math.abs(sample.advantage)) / scale : 0;
    const bar = el("i", { class: sample.advantage >= 0 ? "up" : null });
    bar.style.width = `${width}%`;
    bar.style.left = `${sample.advantage >= 0 ? 50 : 50 - width}%`;
    card.append(el("div", { class: "adv", role: "img", title: `advantage ${signed(sample.advantage)}`, "aria-label": `advantage ${signed(sample.advantage)}` }, bar));
  }
  card.append(textOf(sample.pieces, language));
  const facts = [
    sample.advantage === null ? null : `advantage ${signed(sample.advantage)}`, rewardParts(sample),
    sample.tokens === null ? null : `${number(sample.tokens)} tokens${sample.finish === "length" ? ", cut off" : ""}`,
    sample.words === null ? null : `${number(sample.words)} reflection word${sample.words === 1 ? "" : "s"}`,
    sample.consistency === null ? null : `${Math.round(100 * sample.consistency)}% one language`,
  ].filter(Boolean).join(" · ");
  const verdict = [sample.extracted ? `read as “${sample.extracted}”` : "", sample.reason].filter(Boolean).join(": ");
  card.append(el("footer", {}, el("div", { dir: "auto" }, verdict), el("div", {}, facts)));
  return card;
}

/** A select with buttons for the entry before and after. */
class Picker {
  constructor(label, onChange) {
    const id = `pick-${label}`;
    this.select = el("select", { id, change: () => { this.update(); onChange(); } });
    this.before = el("button", { type: "button", "aria-label": `previous ${label}`, click: () => this.jump(-1, onChange) }, "‹");
    this.after = el("button", { type: "button", "aria-label": `next ${label}`, click: () => this.jump(1, onChange) }, "›");
    this.node = el("div", {}, el("label", { for: id }, label), el("div", { class: "pick" }, this.before, this.select, this.after));
  }
  fill(entries, chosen) {
    this.select.replaceChildren(...entries.map(([value, text]) => el("option", { value }, text)));
    this.value = entries.some(([value]) => value === chosen) ? chosen : entries[0][0];
  }
  get value() { return this.select.value; }
  set value(value) { this.select.value = value; this.update(); }
  jump(by, onChange) { this.select.selectedIndex += by; this.update(); onChange(); }
  update() {
    this.before.disabled = this.select.selectedIndex <= 0;
    this.after.disabled = this.select.selectedIndex >= this.select.options.length - 1;
  }
}

class Browser {
  constructor(groups) {
    this.groups = groups;
    this.stepPicker = new Picker("step", () => this.showStep());
    this.problemPicker = new Picker("problem", () => this.show());
    this.order = el("select", { id: "order", change: () => this.show() }, ...[["sample", "as sampled"], ["reward", "by reward"], ["tokens", "by length"]].map(([value, text]) => el("option", { value }, text)));
    this.view = el("div", { "aria-live": "polite" });
    this.node = el("div", {},
      el("div", { class: "controls" }, this.stepPicker.node, this.problemPicker.node, el("div", {}, el("label", { for: "order" }, "order"), this.order)),
      colourKey(), this.view);
    const seen = new Map(groups.map((group) => [this.stepKey(group), this.stepName(group)]));
    this.stepPicker.fill([...seen], this.stepKey(groups[groups.length - 1]));
    this.showStep();
  }
  stepKey(group) { return stepKey(group); }
  stepName(group) {
    if (group.when) return `${DATA.sampledStages[group.stage]}, ${group.when}`;
    return DATA.numSampledStages > 1 ? `${DATA.sampledStages[group.stage]}, step ${group.step}` : `step ${group.step}`;
  }
  atStep() { return this.groups.filter((group) => this.stepKey(group) === this.stepPicker.value); }
  showStep(problem) {
    const entries = this.atStep().map((group) => [group.id, `${group.question.slice(0, 60)}${group.question.length > 60 ? " …" : ""}`]);
    this.problemPicker.fill(entries, problem ?? this.problemPicker.value);
    this.show();
  }
  open(stepKey, problem) {
    this.stepPicker.value = stepKey;
    this.showStep(problem);
    document.getElementById("samples").scrollIntoView();
  }
  show() {
    const group = this.atStep().find((one) => one.id === this.problemPicker.value);
    if (!group) return;
    const by = this.order.value;
    const samples = by === "sample" ? group.samples : [...group.samples].sort((a, b) => (b[by] ?? -1e9) - (a[by] ?? -1e9));
    const scale = Math.max(...samples.map((sample) => Math.abs(sample.advantage ?? 0)));
    const cards = samples.map((sample) => sampleCard(sample, group.language, scale));
    this.view.replaceChildren(this.heading(group, samples, cards), el("div", { class: "list" }, ...cards));
  }
  heading(group, samples, cards) {
    const right = samples.filter((sample) => sample.verdict === "correct").length;
    const most = Math.max(...samples.map((sample) => sample.reward ?? 0), 1e-9);
    const strip = el("div", { class: "strip", role: "group", "aria-label": "rewards of the samples" }, ...samples.map((sample, index) => {
      const reward = sample.reward === null ? sample.verdict : `reward ${number(sample.reward)}`;
      const bar = el("button", { type: "button", class: sample.verdict === "correct" ? "ok" : null, title: `#${sample.sample}: ${reward}`, "aria-label": `go to sample ${sample.sample}, ${reward}`, click: () => { cards[index].scrollIntoView({ block: "start" }); cards[index].focus(); } });
      const share = sample.reward === null ? (sample.verdict === "correct" ? 1 : 0.3) : Math.max(0, sample.reward) / most;
      bar.style.height = `${Math.max(6, 100 * share)}%`;
      return bar;
    }));
    const facts = [["gold", group.gold], ["right", `${right} of ${samples.length}`], ["task", group.task], ["language", group.language], ["id", group.id]].filter(([, value]) => value);
    const elsewhere = this.groups.filter((one) => one.id === group.id && one !== group);
    const links = elsewhere.map((one) => el("button", { type: "button", class: "link", click: () => { this.stepPicker.value = this.stepKey(one); this.showStep(one.id); } }, this.stepName(one)));
    return el("div", { class: "card question" }, el("div", { class: "q", dir: "auto" }, group.question),
      el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value)))), strip,
      links.length ? el("p", { class: "note" }, "The same problem at ", ...links.flatMap((link, index) => (index ? [", ", link] : [link]))) : null,
      group.prompt ? el("details", { class: "note" }, el("summary", {}, "Prompt"), el("p", { class: "text", dir: "auto" }, group.prompt)) : null);
  }
}

function momentCard(moment, browser) {
  const where = stepKey(moment);
  const known = browser && browser.groups.some((group) => browser.stepKey(group) === where && group.id === moment.problem);
  const turn = moment.kind === "missed" ? [el("s", {}, moment.wrong), " kept, right was ", el("em", {}, moment.right)]
    : moment.kind === "fix" ? [el("s", {}, moment.wrong), " → ", el("em", {}, moment.right)]
      : [el("em", {}, moment.right), " → ", el("s", {}, moment.wrong ?? "?")];
  return el("article", { class: "card moment" },
    el("div", { class: "head" }, el("span", { class: `badge ${moment.kind}` }, KINDS[moment.kind] || moment.kind), el("span", { class: "turn" }, ...turn),
      el("span", { class: "soft" }, moment.when ? `${DATA.sampledStages[moment.stage]}, ${moment.when}` : DATA.numSampledStages > 1 ? `${DATA.sampledStages[moment.stage]}, step ${moment.step}` : `step ${moment.step}`), el("span", { class: "soft", dir: "auto" }, moment.question),
      known ? el("button", { type: "button", class: "link", click: () => browser.open(where, moment.problem) }, "see the whole group") : null),
    textOf(moment.sample.pieces));
}

function showMoments(browser) {
  const section = document.getElementById("moments");
  const body = section.querySelector(".body");
  for (const [title, note, moments] of [
    ["The first repairs", "The model looked back at a wrong value, called it wrong, put the right one in its place and reached the right answer. The arithmetic decides what was wrong, not the model's word.", DATA.moments.fixes],
    ["And when looking back did harm", "Right values called wrong, or wrong ones called right, in responses that failed.", DATA.moments.failures],
  ]) {
    if (moments.length) body.append(el("h3", { class: "stage-title" }, title), el("p", { class: "note" }, note), ...moments.map((moment) => momentCard(moment, browser)));
  }
  if (DATA.moments.figures.length) body.append(el("h3", { class: "stage-title" }, "Over training"), gridOf(DATA.moments.figures, () => "moments", 2)[0]);
  section.hidden = !body.childNodes.length;
}

function showSamples() {
  if (!DATA.groups.length) return null;
  const section = document.getElementById("samples");
  const browser = new Browser(DATA.groups);
  section.querySelector(".body").append(el("p", { class: "note" }, DATA.samplesNote), browser.node);
  section.hidden = false;
  return browser;
}
