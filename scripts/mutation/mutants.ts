/**
 * Mutants of a TypeScript source: copies with one small fault each, of the kind that people make.
 *
 * | operator | turns | into |
 * |---|---|---|
 * | boundary | `<` `<=` `>` `>=` | `<=` `<` `>=` `>` |
 * | comparison | `===` `!==` | `!==` `===`, and an order into its opposite |
 * | logic | `&&` `\|\|` | `\|\|` `&&` |
 * | arithmetic | `+` `-` `*` `&` `\|` `<<` `>>>` | `-` `+` `+` `\|` `&` `>>>` `<<` |
 * | condition | `if (c)` | `if (!(c))` |
 * | literal | `true`, `7` | `false`, `8` |
 * | statement | a call or an assignment that stands alone | nothing |
 *
 * Constants at the top of a file stay as they are, types are no code, and neither are texts.
 */

import { parse } from "@babel/parser";

/** One fault: `replacement` stands in place of the source's characters from `start` to `end`. */
export interface Mutant {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Counted from 1. */
  readonly line: number;
  /** What it turns into what. */
  readonly what: string;
}

const OPPOSITES: Readonly<Record<string, readonly string[]>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "&&": ["||"],
  "||": ["&&"],
  "+": ["-"],
  "-": ["+"],
  "*": ["+"],
  "&": ["|"],
  "|": ["&"],
  "<<": [">>>"],
  ">>>": ["<<"],
};

/** Part of a syntax tree, as far as it is looked at. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value;
}

/** All mutants of a source, in its order. @throws SyntaxError when it is no TypeScript */
export function mutantsOf(source: string): Mutant[] {
  const mutants: Mutant[] = [];
  const { program } = parse(source, { sourceType: "module", plugins: ["typescript"] });
  const add = (start: number, end: number, replacement: string, what: string): void => {
    const line = source.slice(0, start).split("\n").length;
    mutants.push({ start, end, replacement, line, what });
  };
  const text = (node: Node): string => source.slice(node.start, node.end);

  const visit = (node: Node, depth: number): void => {
    if (node.type.startsWith("TS") && !node.type.startsWith("TSNonNull")) return;
    if (node.type === "ImportDeclaration" || node.type === "ThrowStatement") return;
    // A constant of the file is a fact of the RFC or a size: another value is another program, not a slip.
    if (depth === 0 && node.type === "VariableDeclaration") return;
    switch (node.type) {
      case "BinaryExpression":
      case "LogicalExpression":
        mutateOperator(node);
        break;
      case "IfStatement":
      case "ConditionalExpression":
        if (isNode(node.test)) add(node.test.start, node.test.end, `!(${text(node.test)})`, "condition negated");
        break;
      case "BooleanLiteral":
        add(node.start, node.end, node.value === true ? "false" : "true", `${text(node)} flipped`);
        break;
      case "NumericLiteral":
        add(node.start, node.end, `(${text(node)} + 1)`, `${text(node)} plus one`);
        break;
      case "ExpressionStatement":
        add(node.start, node.end, ";", `without "${text(node).split("\n")[0].slice(0, 60)}"`);
        break;
    }
    for (const [key, value] of Object.entries(node)) {
      if (key === "loc" || key.endsWith("Comments")) continue;
      for (const child of Array.isArray(value) ? value : [value]) {
        if (isNode(child)) visit(child, node.type === "ExportNamedDeclaration" ? depth : depth + 1);
      }
    }
  };

  const mutateOperator = (node: Node): void => {
    const { left, right, operator } = node;
    if (!isNode(left) || !isNode(right) || typeof operator !== "string") return;
    const at = left.end + source.slice(left.end, right.start).indexOf(operator);
    for (const opposite of OPPOSITES[operator] ?? []) {
      add(at, at + operator.length, opposite, `${operator} to ${opposite}`);
    }
  };

  for (const statement of program.body) if (isNode(statement)) visit(statement, 0);
  return mutants.toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** The source with that fault. */
export function applyMutant(source: string, { start, end, replacement }: Mutant): string {
  return source.slice(0, start) + replacement + source.slice(end);
}
