function showEmergence() {
  const section = document.getElementById("emergence");
  if (!section || !DATA.emergence.length) return;
  section.querySelector(".note").after(gridOf(DATA.emergence, () => "emergence", 2)[0]);
}
