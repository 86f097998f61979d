
try {
  const kept = localStorage.getItem("mmuexp-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch { /* a page without storage follows the system */ }
