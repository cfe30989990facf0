// All that is wanted for the first sound. The page asks for it before it shows anything, for the
// engine's worker starts later, and hands it over as it arrives.

import { received, receivedBytes, type Manifest } from "./bundle";
import type { Tell } from "./messages";

interface Coming {
  path: string;
  bytes: Promise<ArrayBuffer>;
}

export class Downloads {
  readonly manifest: Promise<Manifest>;
  readonly runtime: Promise<WebAssembly.Module>;
  private readonly files: Promise<Coming[]>;

  constructor() {
    // index.html lists these two, so that the browser asks for them before any script runs.
    const links = document.querySelectorAll<HTMLLinkElement>('link[rel="preload"][as="fetch"]');
    const [manifest, runtime] = Array.from(links, ({ href }) => href);
    this.manifest = received(manifest, (response) => response.json());
    // Compiled while it arrives, by threads of the browser's own.
    this.runtime = received(runtime, WebAssembly.compileStreaming, "application/wasm");
    this.files = this.manifest.then((found) => {
      const of = (name: string, after: Promise<unknown>) =>
        pathsOf(found, name).map((path) => ({
          path,
          bytes: after.then(() => receivedBytes(path)),
        }));
      return [
        ...of(found.first_model, Promise.resolve()),
        // The largest comes last: the runtime gets ready meanwhile.
        ...of(found.first_vocoder, this.runtime),
      ];
    });
    // A failure is told to whoever wants the thing.
    this.files
      .then((all) => Promise.all([this.runtime, ...all.map(({ bytes }) => bytes)]))
      .catch(() => {});
  }

  /** Give all of it to the engine; fails with words where something cannot be loaded. */
  async handOver(tell: Tell, shared: SharedArrayBuffer | null): Promise<void> {
    const manifest = await this.manifest;
    const all = await this.files;
    const coming = all.map(({ path }) => path);
    tell({ kind: "start", base: document.baseURI, shared, manifest, coming });
    const files = all.map(async ({ path, bytes }) => {
      const found = await bytes;
      tell({ kind: "file", path, bytes: found }, [found]);
    });
    await Promise.all([this.runtime.then((module) => tell({ kind: "runtime", module })), ...files]);
  }
}

function pathsOf(manifest: Manifest, name: string): string[] {
  const entry = manifest.models.find(({ config }) => config.name === name)!;
  return Object.values(entry.files).map(({ path }) => path);
}
