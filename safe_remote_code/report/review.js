"use strict";
(function () {
  const stops = Array.from(document.querySelectorAll("[data-stop]"));
  const changes = Array.from(document.querySelectorAll(".row.added, .row.removed")).filter(function (row) {
    const before = row.previousElementSibling;
    return !before || !before.matches(".row.added, .row.removed, .note");
  });
  const where = document.getElementById("where");
  let stop = -1;
  let change = -1;

  function unfold(element) {
    for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  }

  function show(element) {
    unfold(element);
    for (const row of document.querySelectorAll(".row.here")) row.classList.remove("here");
    let row = element;
    while (row && !row.classList.contains("row")) row = row.previousElementSibling;
    if (row) row.classList.add("here");
    element.scrollIntoView({ block: "center" });
  }

  function visit(step) {
    if (!stops.length) return;
    stop = stop < 0 ? (step > 0 ? 0 : stops.length - 1) : (stop + step + stops.length) % stops.length;
    show(stops[stop]);
    stops[stop].focus({ preventScroll: true });
    where.textContent = (stop + 1) + " of " + stops.length;
  }

  function go(step) {
    if (!changes.length) return;
    change = change < 0 ? (step > 0 ? 0 : changes.length - 1) : (change + step + changes.length) % changes.length;
    show(changes[change]);
  }

  function fold() {
    const folds = Array.from(document.querySelectorAll("details"));
    const open = folds.some(function (item) { return !item.open; });
    for (const item of folds) item.open = open;
  }

  const keys = {
    n: function () { visit(1); }, p: function () { visit(-1); }, j: function () { go(1); }, k: function () { go(-1); },
    o: fold,
  };
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  const next = document.getElementById("next");
  const previous = document.getElementById("previous");
  if (next) next.addEventListener("click", keys.n);
  if (previous) previous.addEventListener("click", keys.p);
})();
