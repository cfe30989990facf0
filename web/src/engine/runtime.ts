// ONNX Runtime: the WebAssembly build alone, compiled by the page.

import * as ort from "onnxruntime-web/wasm";
import innerLoaderUrl from "../../node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs?url";
import loaderUrl from "./ort_loader.js?url";

/** Threads help where a page may share memory; half of the cores are left to others. */
export function chooseThreads(isolated: boolean, cores: number): number {
  return isolated ? Math.min(Math.max(cores >> 1, 1), 4) : 1;
}

export function prepareRuntime(compiled: Promise<WebAssembly.Module>): void {
  const address = (url: string) => new URL(url, self.location.href).href;
  Object.assign(globalThis, { runtimeParts: { loaderUrl: address(innerLoaderUrl), compiled } });
  ort.env.wasm.numThreads = chooseThreads(self.crossOriginIsolated, navigator.hardwareConcurrency);
  ort.env.wasm.wasmPaths = { mjs: address(loaderUrl) };
  ort.env.logLevel = "error";
}

let last: Promise<unknown> = Promise.resolve();

/**
 * One after the other: two runs at once would share the runtime's one stack, and two graphs that are
 * loaded at once each other's weights, which have the same name in every bundle.
 */
function inTurn<T>(task: () => Promise<T>): Promise<T> {
  const result = last.then(task);
  last = result.catch(() => {});
  return result;
}

export function run(
  session: ort.InferenceSession,
  feeds: ort.InferenceSession.FeedsType,
): Promise<ort.InferenceSession.OnnxValueMapType> {
  return inTurn(() => session.run(feeds));
}

/** A bundle's graph; its weights lie beside it, as they do on disk. */
export function openSession(
  files: Record<string, Uint8Array>,
  name: string,
): Promise<ort.InferenceSession> {
  const weights = Object.entries(files).filter(([file]) => file.endsWith(".safetensors"));
  return inTurn(async () => {
    const began = performance.now();
    const session = await ort.InferenceSession.create(files[name], {
      executionProviders: ["wasm"],
      externalData: weights.map(([path, data]) => ({ path, data })),
    });
    // For those who look where the time goes.
    performance.measure(`open ${name}`, { start: began });
    return session;
  });
}

export { ort };
