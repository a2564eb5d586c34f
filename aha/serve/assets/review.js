let isEditing = false;

function show(it) {
  edit(false);
  $("facts").replaceChildren(...[...it.facts, it.id].map((fact) => piece("", fact)));
  $("history").replaceChildren(...it.history.map((turn) => {
    const line = document.createElement("p");
    line.className = "turn";
    line.append(strong(turn.role), turn.content);
    return line;
  }));
  $("question").textContent = it.question;
  $("words").textContent = it.words === 1 ? "1 word" : `${it.words.toLocaleString("en")} words`;
  $("thought").replaceChildren(...it.pieces.map(([classes, text]) => piece(classes, text)));
  if (!it.pieces.length) $("thought").textContent = "(no thought)";
  $("summary").textContent = it.content;
  $("answer").replaceChildren(...(it.answer ? answerOf(it.answer) : []));
  $("key").hidden = !it.pieces.some(([classes]) => / [rm]\b/.test(` ${classes.replace("k", "")}`));
  for (const [key, kind] of [["a", "accepted"], ["e", "edited"], ["r", "rejected"]])
    document.querySelector(`#deciding [data-key=${key}]`).classList.toggle("now", it.decision === kind);
}

function answerOf(answer) {
  const mark = piece(answer.is_right ? "ok" : "no", answer.is_right ? "\u2713 " : "\u2717 ");
  if (answer.is_right) return [mark, `answer ${answer.gold}`];
  return [mark, answer.found && answer.found.length <= 20 ? `says ${answer.found}, gold is ${answer.gold}` : `gold is ${answer.gold}`];
}

function piece(classes, text) {
  const element = document.createElement("span");
  element.className = classes;
  element.textContent = text;
  return element;
}

function edit(on) {
  isEditing = on;
  for (const [area, text, value] of [["reasoning", "thought", "reasoning"], ["content", "summary", "content"]]) {
    $(area).hidden = !on;
    $(text).hidden = on;
    if (!on) continue;
    $(area).value = item[value];
    $(area).style.height = "auto";
    $(area).style.height = `${Math.min($(area).scrollHeight + 4, innerHeight * 0.7)}px`;
  }
  $("deciding").hidden = on;
  $("editing").hidden = !on;
  document.querySelector(".nav").hidden = on;
  if (on) $("content").focus();
}

function actions() {
  if (isEditing) return {
    save: () => decide({decision: "edited", reasoning_content: $("reasoning").value, content: $("content").value}),
    cancel: async () => edit(false),
  };
  return item ? {
    a: () => decide(item.decision === "edited" ?
      {decision: "edited", reasoning_content: item.reasoning, content: item.content} : {decision: "accepted"}),
    e: async () => edit(true),
    r: () => decide({decision: "rejected"}),
  } : {};
}

function keyOf(event) {
  if (isEditing) return event.key === "Escape" ? "cancel" : event.ctrlKey && event.key === "Enter" ? "save" : null;
  if (event.ctrlKey) return null;
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}

addEventListener("beforeunload", (event) => { if (isEditing) event.preventDefault(); });
