import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  // Any folder of any host.
  base: "./",
  plugins: [svelte()],
  // The engine's runtime is loaded by its own paths, compressed: see src/engine/runtime.ts.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "browser", "module", "import"] },
  worker: { format: "es" },
  // The WaveNet engine's JavaScript lies beside its C++.
  server: { fs: { allow: [".", "../native/wasm"] } },
  build: {
    outDir: "../src/timbrel/web/static",
    emptyOutDir: true,
    target: "es2022",
    // A worklet must be a file of its own: the page's policy allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 300_000 },
} as Parameters<typeof defineConfig>[0]);
