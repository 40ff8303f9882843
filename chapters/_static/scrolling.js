// What is wider than the page scrolls inside itself: equations, figures, tables, code. The keyboard has to reach it, too.
window.addEventListener("load", async () => {
  for (const picture of document.querySelectorAll("article figure img"))  // its own width, for the style of narrow pages
    if (picture.naturalWidth) picture.style.setProperty("--drawn", picture.naturalWidth);
  await window.MathJax?.startup?.promise;
  const wide = "mjx-container[display=true], div.math, figure, .table-wide, .pst-scrollable-table-container, pre, .output";
  const reach = () => {
    for (const box of document.querySelectorAll(`article :is(${wide})`)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  reach();
  window.addEventListener("resize", reach);
});
