
"use strict";
(() => {
  const root = document.documentElement;

  /* light and dark: the button shows what it changes to */
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("mmuexp-theme", root.dataset.theme); } catch { /* for this visit only */ }
    label();
  });
  system.addEventListener("change", label);
  label();

  /* tables: a click on a head sorts up, then down, then as it was; what is empty stays last */
  const valueOf = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || text === "-" ? null : text;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number"
    ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  for (const table of document.querySelectorAll(".table")) {
    const body = table.querySelector("tbody");
    const original = [...body.rows];
    const heads = [...table.querySelectorAll("thead tr:last-child th")];
    heads.forEach((head, at) => head.querySelector("button")?.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort];
      for (const other of heads) if (other.ariaSort) other.ariaSort = "none";
      head.ariaSort = next;
      const rows = original.map((row) => [valueOf(row.cells[at]), row]);
      if (next !== "none") {
        const sign = next === "ascending" ? 1 : -1;
        rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
      }
      body.append(...rows.map(([, row]) => row));
    }));
    const box = table.querySelector(".filter");
    if (!box) continue;
    const shown = table.querySelector(".shown");
    box.hidden = false;
    box.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of original) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      shown.textContent = words.length ? `${left} of ${original.length} rows` : "";
    });
  }

  /* charts */
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const tooltip = (handler, event, item, value) => {
    tip.replaceChildren();
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    for (const [key, text] of Object.entries(value)) {
      const line = document.createElement("div");
      const name = document.createElement("span");
      name.textContent = key;
      const told = document.createElement("b");
      told.textContent = text;
      line.append(name, told);
      tip.append(line);
    }
    const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const y = event.clientY + 16 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : event.clientY + 16;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${Math.max(8, y)}px`;
  };
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const options = { mode: "vega", renderer: "svg", ast: true, actions: false, defaultStyle: false, tooltip };
  const SMALL = 300; // pixels that a small chart of several wants
  const drawn = async (plot) => {
    const specs = JSON.parse(document.querySelector(`[data-for="${plot.id}"]`).textContent);
    const keys = [...plot.parentElement.querySelectorAll(".legend button")];
    let view = null, at = -1, width = 0;
    const hidden = () => keys.filter((key) => key.ariaPressed === "false").map((key) => key.dataset.series);
    const fit = async () => {
      const room = plot.clientWidth;
      if (!room || room === width) return;
      width = room;
      const wanted = specs.length > 1 ? Math.max(1, Math.min(specs.length, Math.floor(room / SMALL))) - 1 : 0;
      if (wanted !== at) {
        view?.finalize();
        at = wanted;
        ({ view } = await vegaEmbed(plot, specs[at], options));
        view.signal("hidden", hidden());
      }
      if (specs.length === 1) {
        await view.width(room).runAsync();
        return;
      }
      for (let pass = 0; pass < 2; pass++) { /* axes take what they need; the charts share the rest */
        await view.runAsync();
        const over = Number(plot.querySelector("svg").getAttribute("width")) - room;
        view.signal("child_width", Math.max(60, view.signal("child_width") - over / (at + 1))).resize();
      }
      await view.runAsync();
    };
    for (const key of keys) {
      key.addEventListener("click", async () => {
        key.ariaPressed = key.ariaPressed === "true" ? "false" : "true";
        if (keys.every((other) => other.ariaPressed === "false")) for (const other of keys) other.ariaPressed = "true";
        await view.signal("hidden", hidden()).runAsync();
      });
    }
    await fit();
    let asked = 0;
    new ResizeObserver(() => {
      cancelAnimationFrame(asked);
      asked = requestAnimationFrame(fit);
    }).observe(plot);
  };
  const all = async () => {
    for (const plot of document.querySelectorAll(".plot")) await drawn(plot);
    root.dataset.ready = "yes";
  };
  all();
})();
