"use strict";
// Copies the command line. Pages opened from a file have no clipboard in some browsers: there a selection is copied.
const button = document.getElementById("copy");
const line = document.getElementById("command");
const said = document.getElementById("copied");
button.hidden = false;
button.addEventListener("click", async () => {
  said.textContent = "";
  let copied = false;
  try {
    await navigator.clipboard.writeText(line.textContent);
    copied = true;
  } catch {
    getSelection().selectAllChildren(line);
    copied = document.execCommand("copy");
  }
  said.textContent = copied ? "copied" : "The line is selected: copy it with Ctrl+C or ⌘C.";
});
