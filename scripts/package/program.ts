/** Programs of the system that make packages. */

/**
 * Runs a program to its end.
 * @returns what it wrote to standard output
 * @throws Error with what it wrote to standard error
 */
export async function runProgram(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const [program, ...args] = command;
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, { args, stdin: "null", ...options }).output();
  } catch (cause) {
    throw new Error(`Cannot run "${program}": ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  const decoder = new TextDecoder();
  if (!output.success) {
    throw new Error(
      `Cannot do "${command.join(" ")}": ${decoder.decode(output.stderr).trim() || `exit ${output.code}`}`,
    );
  }
  return decoder.decode(output.stdout);
}
