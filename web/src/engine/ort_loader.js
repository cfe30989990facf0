// What ONNX Runtime imports as its loader: its own one, which is given the module that the page has
// compiled while it arrived. It is copied as it is, for bundlers drop what a worker's file exports.

/** `runtimeParts` is set by runtime.ts: there is no other way through the runtime. */
const { loaderUrl, compiled } = globalThis.runtimeParts;
const { default: create } = await import(loaderUrl);

export default (options) =>
  create({
    ...options,
    instantiateWasm(imports, done) {
      compiled.then(async (module) => done(await WebAssembly.instantiate(module, imports), module));
      return {};
    },
  });
