// The WaveNet engine for browsers and Node: arrays in, arrays out.

const SIZES = [
  "kernel_size", "residual_size", "skip_size", "n_parameters", "output", "n_mels", "hop_length",
  "n_around", "input_taps", "sigmoid_first", "layer_condition", "output_condition", "skip_start",
];
const DEFAULTS = {
  input_taps: 0, sigmoid_first: false, layer_condition: true, output_condition: false,
  skip_start: false,
};
const OUTPUTS = ["categorical", "gaussian", "mixture-of-logistics"];
export const PRECISIONS = ["float32", "int16", "int8"];

// A function that holds one relaxed dot product; a browser without relaxed SIMD finds it invalid.
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 0, 253, 15,
  65, 0, 253, 15, 65, 0, 253, 15, 253, 147, 2, 11,
]);

/** Whether this machine's engine knows relaxed SIMD: then take the module built with it. */
export function hasRelaxedSimd() {
  return WebAssembly.validate(RELAXED);
}

/** Compile the module from its bytes. */
export async function loadWaveNet(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {
    // The standard library asks for these; the engine reads and writes no files.
    wasi_snapshot_preview1: new Proxy({}, { get: () => () => 52 }),
  });
  instance.exports._initialize?.();
  return new Module(instance.exports);
}

class Module {
  constructor(exports) {
    this.exports = exports;
  }

  /** Weights (Float32Array by name) packed for a precision; throws an Error that says what is wrong. */
  engine(config, weights, precision) {
    return new Engine(this, config, weights, precision);
  }

  /** Lends memory of the module to `use(pointer)`, filled with `values` if there are some. */
  lend(bytes, values, use) {
    const pointer = this.exports.allocate(Math.max(bytes, 1));
    if (!pointer) throw new Error("there is not enough memory");
    try {
      if (values) new values.constructor(this.exports.memory.buffer, pointer, values.length).set(values);
      return use(pointer);
    } finally {
      this.exports.release(pointer);
    }
  }

  floats(pointer, n) {
    return new Float32Array(this.exports.memory.buffer, pointer, n).slice();
  }

  text(pointer) {
    const bytes = new Uint8Array(this.exports.memory.buffer, pointer);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

class Engine {
  constructor(module, config, weights, precision) {
    if (!PRECISIONS.includes(precision)) throw new Error(`there is no precision '${precision}'`);
    const all = { ...DEFAULTS, ...config, output: OUTPUTS.indexOf(config.output ?? OUTPUTS[0]) };
    const { exports } = module;
    const sizes = Int32Array.from(SIZES, (name) => Number(all[name]));
    const dilations = Int32Array.from(config.dilations);
    const model = module.lend(sizes.byteLength, sizes, (s) =>
      module.lend(dilations.byteLength, dilations, (d) => exports.model_new(s, d, dilations.length)));
    try {
      for (const [name, values] of Object.entries(weights)) {
        const label = new TextEncoder().encode(`${name}\0`);
        module.lend(label.length, label, (l) =>
          module.lend(values.byteLength, values, (v) => exports.model_set(model, l, v, values.length)));
      }
      const problem = module.text(exports.model_problem(model));
      if (problem) throw new Error(problem);
      this.pointer = exports.engine_new(model, PRECISIONS.indexOf(precision));
    } finally {
      exports.model_delete(model);
    }
    Object.assign(this, { module, config: all });
  }

  session(nStreams, { seed = 0, temperature = 1 } = {}) {
    return new Session(this, nStreams, seed, temperature);
  }

  close() {
    this.module.exports.engine_delete(this.pointer);
  }
}

class Session {
  constructor(engine, nStreams, seed, temperature) {
    Object.assign(this, { engine, nStreams, module: engine.module });
    this.pointer = this.module.exports.session_new(engine.pointer, nStreams, seed, temperature);
  }

  /** Samples that what was fed is enough for. */
  get ready() {
    return this.module.exports.session_ready(this.pointer);
  }

  /** Append conditioning, streams × frames × mels. */
  feed(mel) {
    const nFrames = mel.length / this.nStreams / this.engine.config.n_mels;
    if (!Number.isInteger(nFrames)) throw new Error("the conditioning has another shape");
    if (!mel.every(Number.isFinite)) throw new Error("the conditioning holds values that are not finite");
    this.module.lend(mel.byteLength, mel, (p) =>
      this.module.exports.session_feed(this.pointer, p, mel.length, nFrames));
  }

  /** Draw the next n samples: amplitudes, streams × n. */
  sample(n) {
    this.#check(n);
    const size = this.nStreams * n;
    return this.module.lend(4 * size, null, (p) => {
      this.module.exports.session_sample(this.pointer, n, p);
      return this.module.floats(p, size);
    });
  }

  /** Take samples as given, streams × n; gives what was predicted for each. */
  force(samples) {
    const n = samples.length / this.nStreams;
    this.#check(n);
    const size = samples.length * this.engine.config.n_parameters;
    return this.module.lend(samples.byteLength, samples, (s) =>
      this.module.lend(4 * size, null, (p) => {
        this.module.exports.session_force(this.pointer, n, s, p);
        return this.module.floats(p, size);
      }));
  }

  close() {
    this.module.exports.session_delete(this.pointer);
  }

  #check(n) {
    if (!(Number.isInteger(n) && n >= 0 && n <= this.ready)) {
      throw new Error("more samples are asked for than the conditioning is enough for");
    }
  }
}
