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

export { ort };
