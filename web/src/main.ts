// Small, so that it runs early: what takes long is begun before the page itself has arrived.

import { Downloads } from "./engine/downloads";

const downloads = new Downloads();
const worker = new Worker(new URL("./engine/worker.ts", import.meta.url), { type: "module" });
const { begin } = await import("./page");
begin(worker, downloads);
