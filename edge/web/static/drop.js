// A picture that is dropped anywhere on the page.

/** Give the first file of each drop; the frame shows that a drop is taken. */
export function takeDrops(frame, take) {
  const area = document.documentElement;
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    frame.dataset.drop = "";
  });
  area.addEventListener("dragleave", () => delete frame.dataset.drop);
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    delete frame.dataset.drop;
    take(event.dataTransfer.files[0]);
  });
}
