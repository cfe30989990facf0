import { mount } from "svelte";
import type { Downloads } from "./engine/downloads";
import App from "./ui/App.svelte";
import "./ui/app.css";
import { Session } from "./ui/session.svelte";

export function begin(worker: Worker, downloads: Downloads): void {
  const session = new Session(worker, downloads);
  mount(App, { target: document.getElementById("app")!, props: { session } });
  session.begin();

  // For the browser's console, the tests and the benchmark.
  Object.assign(window, { timbrel: session });
}
