"use strict";
const $ = (id) => document.getElementById(id);
let state = null, item = null, shownAt = 0, isBusy = false;

async function call(path, body) {
  const options = body === undefined ? {} :
    {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  let answer;
  try { answer = await fetch(path, options); }
  catch { throw new Error("The command that serves this page has ended; start it again. Everything decided is kept."); }
  const value = await answer.json().catch(() => ({error: "The server did not answer."}));
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function tell(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message : "";
}

function showState() {
  const parts = Object.entries(state.counts);
  $("counts").replaceChildren(strong(`${state.done.toLocaleString("en")} of ${state.total.toLocaleString("en")}`),
    ...parts.map(([name, count]) => ` \u00b7 ${count.toLocaleString("en")} ${name}`));
  $("left").textContent = state.left ? `${state.left} left` : "";
  $("bar").replaceChildren(...parts.map(([name, count]) => {
    const bar = document.createElement("i");
    bar.className = name;
    bar.style.width = `${100 * count / state.total}%`;
    return bar;
  }));
  $("bar").setAttribute("aria-valuemax", state.total);
  $("bar").setAttribute("aria-valuenow", state.done);
}

function strong(text) {
  const element = document.createElement("b");
  element.textContent = text;
  return element;
}

async function open(index) {
  tell(null);
  const isDone = index === null;
  $("done").hidden = !isDone;
  $("work").hidden = isDone;
  $("deciding").hidden = isDone;
  if (isDone) {
    $("ending").textContent = $("counts").textContent;
    $("place").textContent = "";
    item = null;
    return;
  }
  item = await call(`item/${index}`);
  $("place").textContent = `${(index + 1).toLocaleString("en")} / ${state.total.toLocaleString("en")}`;
  shownAt = performance.now();
  show(item);
  scrollTo(0, 0);
}

async function decide(decision) {
  if (!item) return;
  const seconds = (performance.now() - shownAt) / 1000;
  const wasDecided = item.decision !== null && item.decision !== undefined;
  const before = item.index;
  state = await call(`decide/${before}`, {...decision, seconds});
  showState();
  const following = before + 1 < state.total ? before + 1 : state.next;
  await open(wasDecided && state.next !== null ? following : state.next);
}

async function step(by) {
  const from = item ? item.index : state.total;
  const to = from + by;
  if (to >= 0 && to < state.total) await open(to);
  else if (to >= state.total && state.next === null) await open(null);
}

async function act(action) {
  if (isBusy) return;
  isBusy = true;
  try { await action(); } catch (error) { tell(error); }
  isBusy = false;
}

function press(key) {
  if (key === "ArrowLeft") return act(() => step(-1));
  if (key === "ArrowRight") return act(() => step(1));
  const action = actions()[key];
  if (action) act(action);
  return Boolean(action);
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey || event.metaKey) return;
  const key = keyOf(event);
  if (key && press(key)) event.preventDefault();
});
for (const button of document.querySelectorAll("button[data-key]"))
  button.addEventListener("click", () => { press(button.dataset.key); button.blur(); });
addEventListener("DOMContentLoaded", () => act(async () => {
  state = await call("state");
  showState();
  const asked = Number(new URLSearchParams(location.search).get("at"));
  await open(asked >= 1 && asked <= state.total ? asked - 1 : state.next);
}));
