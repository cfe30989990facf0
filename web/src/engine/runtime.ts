// ONNX Runtime: the WebAssembly build alone, fetched compressed, so that the bytes over the wire do
// not depend on the host.

import * as ort from "onnxruntime-web/wasm";
import loaderUrl from "../../node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs?url";
import { decompressed } from "./bundle";

/** Threads help where a page may share memory; half of the cores are left to others. */
export function chooseThreads(isolated: boolean, cores: number): number {
  return isolated ? Math.min(Math.max(cores >> 1, 1), 4) : 1;
}

export async function startRuntime(wasmUrl: string): Promise<void> {
  ort.env.wasm.numThreads = chooseThreads(self.crossOriginIsolated, navigator.hardwareConcurrency);
  ort.env.wasm.wasmPaths = { mjs: new URL(loaderUrl, self.location.href).href };
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = await decompressed(wasmUrl);
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
  return inTurn(() =>
    ort.InferenceSession.create(files[name], {
      executionProviders: ["wasm"],
      externalData: weights.map(([path, data]) => ({ path, data })),
    }),
  );
}

export { ort };
