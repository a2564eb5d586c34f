const CHOICES = {1: 2, 2: 1, 3: 0, 4: -1, 5: -2};

function show(it) {
  $("prompt").textContent = it.prompt;
  $("leftText").textContent = it.left;
  $("rightText").textContent = it.right;
  const word = {2: "clearly better", 1: "better", 0: "tie"};
  const choice = it.decision;
  for (const [side, sign] of [["left", 1], ["right", -1]]) {
    $(`${side}Card`).classList.toggle("won", choice !== null && sign * choice > 0);
    $(`${side}Card`).classList.toggle("tied", choice === 0);
    $(`${side}Mark`).textContent = choice !== null && sign * choice >= 0 ? word[Math.abs(choice)] : "";
  }
  for (const [key, value] of Object.entries(CHOICES))
    document.querySelector(`#deciding [data-key="${key}"]`).classList.toggle("now", choice === value);
}

function actions() {
  if (!item) return {};
  return Object.fromEntries(Object.entries(CHOICES).map(([key, value]) => [key, () => decide({decision: value})]));
}

function keyOf(event) {
  return event.ctrlKey ? null : event.key;
}

for (const [id, key] of [["leftCard", "2"], ["rightCard", "4"]])
  $(id).addEventListener("click", () => { if (!String(getSelection())) press(key); });
