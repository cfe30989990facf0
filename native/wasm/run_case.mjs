// Runs a case of test_wasm.py, in Node or in a page: forced predictions, samples, speed.
export async function runCase(engineModule, bytes, given) {
  const { loadWaveNet, hasRelaxedSimd } = engineModule;
  const module = await loadWaveNet(bytes);
  const weights = Object.fromEntries(
    Object.entries(given.weights).map(([name, values]) => [name, floats(values)]));
  const results = { relaxed: hasRelaxedSimd(), predictions: {}, samples: {}, samplesPerS: {}, errors: [] };
  for (const precision of ["float32", "int16", "int8"]) {
    const engine = module.engine(given.config, weights, precision);
    let session = engine.session(given.streams);
    session.feed(floats(given.mel));
    results.predictions[precision] = text(session.force(floats(given.forced)));
    session.close();
    // Browsers compile twice, the second time while the code runs.
    session = engine.session(given.streams);
    session.feed(floats(given.mel));
    session.sample(session.ready);
    session.close();
    session = engine.session(given.streams, { seed: given.seed });
    session.feed(floats(given.mel));
    const n = session.ready;
    const began = performance.now();
    const parts = [session.sample(5), session.sample(n - 5)];
    results.samplesPerS[precision] = (1000 * n * given.streams) / (performance.now() - began);
    results.samples[precision] = text(joined(parts, given.streams));
    try { session.sample(1); } catch (error) { results.errors.push(error.message); }
    session.close();
    engine.close();
  }
  for (const changes of [{ config: { ...given.config, kernel_size: 9 } }, { precision: "int4" }]) {
    try {
      module.engine(changes.config ?? given.config, weights, changes.precision ?? "int8");
    } catch (error) { results.errors.push(error.message); }
  }
  return results;
}

function joined(parts, streams) {
  const sizes = parts.map((part) => part.length / streams);
  const rows = [];
  for (let s = 0; s < streams; ++s)
    parts.forEach((part, i) => rows.push(...part.subarray(s * sizes[i], (s + 1) * sizes[i])));
  return Float32Array.from(rows);
}

function floats(encoded) {
  return new Float32Array(Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)).buffer);
}

function text(values) {
  let binary = "";
  for (const byte of new Uint8Array(values.buffer)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

if (typeof process !== "undefined" && process.argv[2]) {
  const { readFileSync } = await import("node:fs");
  const [engineFile, wasmFile, caseFile] = process.argv.slice(2);
  const results = await runCase(
    await import(engineFile), readFileSync(wasmFile), JSON.parse(readFileSync(caseFile, "utf8")));
  console.log(JSON.stringify(results));
}
