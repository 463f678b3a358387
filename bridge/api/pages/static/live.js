// Looks again at each [data-live], as long as there is a [data-live-on] inside.
for (const region of document.querySelectorAll("[data-live]")) {
  const again = () => region.querySelector("[data-live-on]") && setTimeout(look, 1500);
  const look = async () => {
    try {
      const answer = await fetch(region.dataset.live, { credentials: "same-origin" });
      if (answer.status === 401) return location.reload(); // which says why, and what to do
      const fresh = document.createElement("template");
      fresh.innerHTML = answer.ok ? await answer.text() : region.innerHTML;
      // Only what says something new, or screen readers would read it out again and again.
      if (fresh.content.textContent !== region.textContent) region.replaceChildren(fresh.content);
    } catch { /* offline: later */ }
    again();
  };
  again();
}
