"use strict";
const SVG = document.querySelector("svg").namespaceURI;
const DATA = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes, properties given as functions (listeners) and children. */
function el(name, attributes = {}, ...children) {
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Steps of 1, 2, 2.5 or 5 times a power of ten: about `count` of them from low to high. */
function ticks(low, high, count, whole) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  let size = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999);
  if (whole) size = Math.max(1, Math.round(size));
  const marks = [];
  for (let index = Math.ceil(low / size - 1e-9); index * size <= high + size * 1e-9; index += 1) marks.push(index * size);
  return marks;
}

function number(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace("e+", "e").replace(".0e", "e");
  return String(Number(value.toPrecision(size >= 1000 ? 5 : 4)));
}

function format(value, unit) {
  if (unit === "fraction") return `${(100 * value).toFixed(1)}%`;
  if (unit === "tokens") return value.toFixed(1);
  if (unit === "words") return value.toFixed(2);
  if (unit === "seconds") return `${number(value)} s`;
  return number(value);
}

function tickLabel(value, unit) {
  if (unit === "fraction") return `${Number((100 * value).toFixed(4))}%`;
  return unit === "seconds" ? `${number(value)} s` : number(value);
}

/** The value axis: from zero where that is honest and useful, never past 100% for fractions. */
function valueRange(figure) {
  const values = figure.levels.map((level) => level.value);
  for (const series of figure.series) {
    for (const [, value, error] of series.points) values.push(value - (error || 0), value + (error || 0));
  }
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (figure.unit === "fraction" && high > 0.55) high = 1;
  if (figure.from_zero && low > 0) low = 0;
  if (low < 0 && low > -0.02 * high) low = 0;
  if (high === low) [low, high] = [Math.min(low, 0), high || 1];
  const step = ticks(low, high, 4);
  const size = step.length > 1 ? step[1] - step[0] : high - low;
  low = Math.floor(low / size + 1e-9) * size;
  high = figure.unit === "fraction" && high === 1 ? 1 : Math.ceil(high / size - 1e-9) * size;
  if (figure.unit === "fraction") [low, high] = [Math.max(0, low), Math.min(1, high)];
  return [low, high];
}

function nearest(points, step) {
  let best = points[0];
  for (const point of points) if (Math.abs(point[0] - step) < Math.abs(best[0] - step)) best = point;
  return best;
}

/** The last point at or before a step. */
function latest(points, step) {
  let found = null;
  for (const point of points) if (point[0] <= step) found = point;
  return found;
}

function swatch(style, color) {
  const stroke = `var(--c${color % 8})`;
  const icon = el("svg:svg", { width: 20, height: 10, viewBox: "0 0 20 10", "aria-hidden": "true" });
  const thin = style === "training";
  icon.append(el("svg:path", {
    d: "M1 5H19", stroke: style === "level" ? "var(--ink)" : stroke, "stroke-width": thin ? 1.3 : 2,
    "stroke-opacity": thin ? 0.6 : 1, "stroke-dasharray": style === "level" ? "5 3" : null, fill: "none",
  }));
  if (style === "measured") icon.append(el("svg:circle", { cx: 10, cy: 5, r: 3, fill: stroke }));
  return icon;
}

/** Figures of one stage move their cursors together. */
const cursors = new Map();
function moveCursors(stage, step) { for (const move of cursors.get(stage) || []) move(step); }

class Plot {
  constructor(figure, stage, wide) {
    this.figure = figure;
    this.stage = stage;
    this.steps = [...new Set(figure.series.flatMap((series) => series.points.map((point) => point[0])))].sort((a, b) => a - b);
    this.first = figure.bands.length ? figure.bands[0].start : this.steps[0];
    this.last = this.steps[this.steps.length - 1];
    this.step = null;
    this.at = el("span", { class: "at" });
    this.legend = el("ul", { class: "legend" });
    this.area = el("div", {
      class: "area", tabindex: 0, role: "slider", "aria-label": `${figure.title}, step`,
      "aria-valuemin": this.first, "aria-valuemax": this.last,
      pointermove: (event) => this.point(event), pointerdown: (event) => this.point(event),
      pointerleave: () => moveCursors(stage, null), keydown: (event) => this.key(event),
      blur: () => moveCursors(stage, null),
    });
    const table = el("details", { class: "values", toggle: () => this.tabulate(table) }, el("summary", {}, "Values"));
    this.node = el("figure", { class: wide ? "plot wide" : "plot" },
      el("figcaption", {}, el("div", { class: "head" }, el("h3", {}, figure.title), this.at), this.legend),
      this.area, el("p", { class: "why" }, figure.note), table);
    if (!cursors.has(stage)) cursors.set(stage, new Set());
    cursors.get(stage).add((step) => this.move(step));
    this.move(null);
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.area);
  }

  draw() {
    const width = Math.round(this.area.clientWidth);
    if (!width || width === this.width) return;
    this.width = width;
    this.legendHeight = 0;
    const { figure } = this;
    const height = Math.round(Math.min(270, Math.max(190, width * 0.5)));
    const [low, high] = valueRange(figure);
    const marks = ticks(low, high, 4);
    const labels = marks.map((mark) => tickLabel(mark, figure.unit));
    const left = 12 + Math.max(...labels.map((label) => label.length)) * 6.6;
    const [right, top, bottom] = [10, 10, height - 24];
    const span = this.last - this.first || 1;
    this.x = (step) => left + ((step - this.first) / span) * (width - left - right);
    this.y = (value) => bottom - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (bottom - top);
    const svg = el("svg:svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    marks.forEach((mark, index) => {
      svg.append(el("svg:line", { class: "gridline", x1: left, x2: width - right, y1: this.y(mark), y2: this.y(mark) }));
      svg.append(el("svg:text", { x: left - 6, y: this.y(mark) + 4, "text-anchor": "end" }, labels[index]));
    });
    if (figure.bands.length) this.bands(svg, top, bottom);
    else for (const mark of ticks(this.first, this.last, Math.max(2, width / 90), true)) {
      svg.append(el("svg:text", { x: this.x(mark), y: height - 7, "text-anchor": "middle" }, number(mark)));
    }
    svg.append(el("svg:line", { class: "axis", x1: left, x2: width - right, y1: bottom, y2: bottom }));
    figure.levels.forEach((level) => svg.append(el("svg:path", {
      d: `M${left} ${this.y(level.value)}H${width - right}`, stroke: "var(--ink)", "stroke-width": 1.5, "stroke-dasharray": "5 4", fill: "none",
    })));
    for (const series of [...figure.series].reverse()) this.line(svg, series);
    this.cursor = el("svg:g", {});
    svg.append(this.cursor);
    this.area.replaceChildren(svg);
    this.move(this.step);
  }

  /** Stages side by side: a dashed line where each begins, its name and its last step below. */
  bands(svg, top, bottom) {
    this.figure.bands.forEach((band, index) => {
      const [from, to] = [this.x(band.start), this.x(band.end)];
      if (index) svg.append(el("svg:line", { class: "cursor", x1: from, x2: from, y1: top, y2: bottom }));
      const steps = `${band.name}, ${number(band.end - band.start)} steps`;
      const label = [steps, band.name, ""].find((text) => text.length * 6 < to - from);
      svg.append(el("svg:text", { x: (from + to) / 2, y: bottom + 17, "text-anchor": "middle" }, label));
    });
  }

  /** `step 12`, or `dev2, step 12` where stages lie side by side. */
  named(step) {
    const band = this.figure.bands.findLast((one) => one.start <= step);
    return band ? `${band.name}, step ${number(step - band.start)}` : `step ${number(step)}`;
  }

  line(svg, series) {
    const color = `var(--c${series.color % 8})`;
    const { points, style } = series;
    const withError = points.filter((point) => point.length > 2);
    if (withError.length > 1) {
      const upper = withError.map((p) => `${this.x(p[0])} ${this.y(p[1] + p[2])}`);
      const lower = withError.map((p) => `${this.x(p[0])} ${this.y(p[1] - p[2])}`).reverse();
      svg.append(el("svg:path", { d: `M${[...upper, ...lower].join("L")}Z`, fill: color, "fill-opacity": 0.15 }));
    }
    const path = points.map((p) => `${this.x(p[0]).toFixed(1)} ${this.y(p[1]).toFixed(1)}`).join("L");
    const thin = style === "training";
    svg.append(el("svg:path", {
      d: `M${path}`, fill: "none", stroke: color, "stroke-width": thin ? 1.3 : 2, "stroke-opacity": thin ? 0.5 : 1,
      "stroke-linejoin": "round", "stroke-linecap": "round",
    }));
    if (points.length === 1 || (style === "measured" && points.length <= 40)) {
      for (const p of points) svg.append(el("svg:circle", { cx: this.x(p[0]), cy: this.y(p[1]), r: thin ? 1.8 : 2.8, fill: color }));
    }
  }

  /** Show the values at a step, or the last ones for null. */
  move(step) {
    this.step = step;
    const { figure } = this;
    const shown = step === null ? this.last : Math.min(this.last, Math.max(this.first, step));
    const entries = figure.series.filter((series) => !series.quiet).map((series) => {
      const point = latest(series.points, shown);
      if (!point) return [series, null, "–", ""];
      const error = point.length > 2 ? ` ±${format(point[2], figure.unit).replace("%", "")}` : "";
      return [series, point, format(point[1], figure.unit) + error, point[0] === shown || (figure.bands.length && step === null) ? "" : ` (${this.named(point[0])})`];
    });
    this.at.textContent = this.named(shown);
    const items = entries.map(([series, , text, older]) => el("li", {}, swatch(series.style, series.color), `${series.name} `,
      el("b", { class: older ? "older" : null, title: older ? `measured at${older.replace(/[()]/g, "")}` : null }, text)));
    figure.levels.forEach((level) => items.push(el("li", {}, swatch("level", 0), `${level.name} `, el("b", {}, format(level.value, figure.unit)))));
    this.legend.replaceChildren(...items);
    this.legendHeight = Math.max(this.legendHeight || 0, this.legend.offsetHeight);
    this.legend.style.minHeight = `${this.legendHeight}px`; // so that nothing jumps under the pointer
    this.area.setAttribute("aria-valuenow", shown);
    this.area.setAttribute("aria-valuetext", `${this.named(shown)}: ${entries.map(([series, , text, older]) => `${series.name} ${text}${older}`).join(", ")}`);
    if (!this.cursor) return;
    this.cursor.replaceChildren();
    if (step === null) return;
    const x = this.x(shown);
    this.cursor.append(el("svg:line", { class: "cursor", x1: x, x2: x, y1: 8, y2: this.y(-Infinity) }));
    for (const [series, point] of entries) {
      if (point) this.cursor.append(el("svg:circle", { cx: this.x(point[0]), cy: this.y(point[1]), r: 4, fill: `var(--c${series.color % 8})`, stroke: "var(--card)", "stroke-width": 1.5 }));
    }
  }

  point(event) {
    const box = this.area.getBoundingClientRect();
    const [from, to] = [this.x(this.first), this.x(this.last)];
    const share = (event.clientX - box.left - from) / (to - from || 1);
    const wanted = this.first + share * (this.last - this.first);
    moveCursors(this.stage, nearest(this.steps.map((step) => [step]), wanted)[0]);
  }

  key(event) {
    const index = this.steps.indexOf(this.step === null ? this.last : nearest(this.steps.map((step) => [step]), this.step)[0]);
    const jump = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -1e9, End: 1e9 }[event.key];
    if (event.key === "Escape") moveCursors(this.stage, null);
    if (jump === undefined) return;
    event.preventDefault();
    moveCursors(this.stage, this.steps[Math.min(this.steps.length - 1, Math.max(0, index + jump))]);
  }

  tabulate(details) {
    if (!details.open || details.querySelector("table")) return;
    const { figure } = this;
    const head = el("tr", {}, el("th", { scope: "col" }, "step"), ...figure.series.map((series) => el("th", { scope: "col" }, series.name)));
    const maps = figure.series.map((series) => new Map(series.points.map((point) => [point[0], point])));
    const rows = this.steps.map((step) => el("tr", {}, el("td", {}, figure.bands.length ? this.named(step) : number(step)), ...maps.map((map) => {
      const point = map.get(step);
      return el("td", {}, point ? format(point[1], figure.unit) + (point[2] === undefined ? "" : ` ±${format(point[2], figure.unit).replace("%", "")}`) : "");
    })));
    details.append(el("div", { class: "scroll", tabindex: 0 }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows))));
  }
}

/** Two wide figures first, then rows of three; no row is left with a hole. */
function gridOf(figures, keyOf, leading) {
  const grid = el("div", { class: "grid" });
  const lead = Math.min(leading, figures.length);
  const rest = figures.length - lead;
  const wideFrom = rest % 3 === 0 ? Infinity : figures.length - (rest % 3 === 2 ? 2 : Math.min(4, rest));
  const plots = figures.map((figure, index) => new Plot(figure, keyOf(figure), index < lead || index >= wideFrom));
  grid.append(...plots.map((plot) => plot.node));
  requestAnimationFrame(() => plots.forEach((plot) => plot.draw()));
  return [grid, plots];
}

function showFigures() {
  const section = document.getElementById("figures");
  const body = section.querySelector(".body");
  const together = DATA.across.length > 0;
  DATA.across.forEach((group) => {
    const key = (figure) => `across ${figure.bands.map((band) => band.name).join()}`;
    body.append(el("h3", { class: "stage-title" }, group.title), gridOf(group.figures, key, group.figures.length === 3 ? 0 : 2)[0]);
  });
  if (together) body.append(el("h3", { class: "stage-title" }, "Each stage by itself"));
  DATA.stages.forEach((stage, index) => {
    const shown = [];
    const inside = stage.groups.map((group) => {
      const [grid, plots] = gridOf(group.figures, () => index, group.collapsed ? 0 : 2);
      const title = el("summary", {}, `${group.title} (${group.figures.length})`);
      const draw = () => plots.forEach((plot) => plot.draw());
      shown.push(draw);
      return group.collapsed ? el("details", { class: "more", toggle: draw }, title, grid) : grid;
    });
    if (together) body.append(el("details", { class: "more stage", toggle: () => shown.forEach((draw) => draw()) }, el("summary", {}, stage.name), ...inside));
    else body.append(...(DATA.stages.length > 1 ? [el("h3", { class: "stage-title" }, `Stage ${stage.name}`)] : []), ...inside);
  });
  section.hidden = !DATA.stages.length;
}
