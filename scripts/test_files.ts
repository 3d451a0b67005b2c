/** Which test files there are. */

/** The test files at or below `path`, sorted, as paths below `root`; none where nothing is. */
export function testFiles(root: URL, path: string): string[] {
  if (path.endsWith("_test.ts")) return [path];
  const files: string[] = [];
  try {
    for (const entry of Deno.readDirSync(new URL(path, root))) {
      const below = `${path}/${entry.name}`;
      if (entry.isDirectory || entry.name.endsWith("_test.ts")) files.push(...testFiles(root, below));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}
