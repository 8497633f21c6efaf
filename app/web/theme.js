/** Applies the colours that were chosen before anything is drawn; not a module, because those run later. */
(() => {
  const chosen = localStorage.getItem("tunesmith-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
