"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // No validator elsewhere is asked, and no key outlives the page.
  validatorUrl: null,
  persistAuthorization: false,
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
