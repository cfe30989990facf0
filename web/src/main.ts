import { mount } from "svelte";
import App from "./ui/App.svelte";
import "./ui/app.css";
import { Session } from "./ui/session.svelte";

const session = new Session();
mount(App, { target: document.getElementById("app")!, props: { session } });
session.begin();

// For the browser's console, the tests and the benchmark.
Object.assign(window, { timbrel: session });
