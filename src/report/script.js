// A line through all charts at the pointer, with its time. The page is whole without it.
for (const figure of document.querySelectorAll(".figure")) {
  const line = figure.appendChild(document.createElement("div"));
  line.className = "cursor";
  line.hidden = true;
  figure.addEventListener("pointermove", (event) => {
    const plot = figure.querySelector(".plot").getBoundingClientRect();
    const share = (event.clientX - plot.left) / plot.width;
    line.hidden = share < 0 || share > 1;
    line.style.left = `${event.clientX - figure.getBoundingClientRect().left}px`;
    const seconds = share * Number(document.body.dataset.length);
    const minutes = Math.floor(seconds / 60);
    const rest = (seconds - minutes * 60).toFixed(2).padStart(5, "0");
    line.textContent = minutes < 60 ? `${minutes}:${rest}`
      : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
    line.classList.toggle("left", share > 0.85);
  });
  figure.addEventListener("pointerleave", () => { line.hidden = true; });
}
