// Sends the request of a form and shows the answer below it. The id of a creation fills the forms that need one.
for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      show(form, ...(await send(form)));
    } catch (error) {
      show(form, "The request failed", String(error));
    }
    button.disabled = false;
  });
}

async function send(form) {
  const method = form.dataset.method;
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.place === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value.trim()));
    else if (input.value) query.set(input.name, input.value);
  }
  const headers = { Accept: "application/json" };
  if ("key" in form.dataset) headers.Authorization = `Bearer ${document.getElementById("key").value.trim()}`;
  const body = method === "POST" ? (form.elements.body?.value ?? "{}") : undefined;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(query.size ? `${path}?${query}` : path, { method, headers, body });
  const text = await answer.text();
  let shown = text;
  try {
    const parsed = JSON.parse(text);
    shown = JSON.stringify(parsed, null, 2);
    if (answer.ok && parsed.client_token) {
      for (const input of document.querySelectorAll('input[name="id"]')) input.value = parsed.id;
    }
  } catch {
    // The metrics are plain text.
  }
  return [`${answer.status} ${answer.statusText}`, shown];
}

function show(form, status, text) {
  const place = form.querySelector(".answer");
  const heading = document.createElement("p");
  const shown = document.createElement("pre");
  heading.textContent = status;
  shown.textContent = text;
  shown.tabIndex = 0;
  shown.setAttribute("aria-label", "Answer");
  place.replaceChildren(heading, shown);
}
