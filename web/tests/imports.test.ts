import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";

const SOURCE = join(import.meta.dirname, "..", "src");

/** What a module imports of this folder, types included. */
function imports(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const script = file.endsWith(".svelte") ? /<script[^>]*>(.*?)<\/script>/s.exec(text)![1] : text;
  return ts
    .preProcessFile(script)
    .importedFiles.map(({ fileName }) => fileName.replace(/\?.*$/, ""))
    .filter((name) => name.startsWith("."))
    .map((name) => join(dirname(file), name));
}

function graph(): Map<string, string[]> {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ts|svelte)$/.test(name))
    .map((name) => join(SOURCE, name));
  const known = new Set(files);
  const named = (path: string) => [path, `${path}.ts`].find((one) => known.has(one));
  return new Map(
    files.map((file) => [file, imports(file).flatMap((path) => named(path) ?? [])] as const),
  );
}

/** The modules of a circle, or nothing. */
function circle(modules: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const way: string[] = [];
  function visit(file: string): string[] {
    if (done.has(file)) return [];
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    way.push(file);
    for (const next of modules.get(file)!) {
      const found = visit(next);
      if (found.length) return found;
    }
    done.add(way.pop()!);
    return [];
  }
  for (const file of modules.keys()) {
    const found = visit(file);
    if (found.length) return found.map((one) => relative(SOURCE, one));
  }
  return [];
}

it("no module imports itself through others", () => {
  const modules = graph();
  const at = (name: string) => join(SOURCE, name);
  expect(modules.get(at("page.ts"))).toContain(at("ui/session.svelte.ts"));
  expect(modules.get(at("ui/App.svelte"))).toContain(at("ui/Transport.svelte"));
  expect(circle(modules)).toEqual([]);
  modules.get(at("ui/browser.ts"))!.push(at("page.ts"));
  expect(circle(modules)).toContain("ui/browser.ts");
});
