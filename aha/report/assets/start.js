showFigures();
showProblems();
showEmergence();
showMoments(showSamples());
for (const link of document.querySelectorAll("nav a")) {
  const target = document.querySelector(link.getAttribute("href"));
  link.hidden = !target || target.hidden;
}
const wanted = location.hash && document.getElementById(location.hash.slice(1));
if (wanted) requestAnimationFrame(() => requestAnimationFrame(() => wanted.scrollIntoView({ behavior: "instant" })));
