/// <reference lib="deno.unstable" />

/**
 * The rules of this house as lint rules. `deno lint` loads this file (deno.json, `lint.plugins`).
 *
 * ```
 *   main.ts ─▶ lib/cli ─▶ lib/host ───▶ lib/core ─▶ lib/wire        tests, scripts ─▶ everything
 *                 │    └▶ lib/control ─▶ ┘
 *                 │       lib/host ─▶ ffi, lib/control
 *                 └─────▶ config ◀─ lib/host
 * ```
 *
 * | rule | holds |
 * |---|---|
 * | `miredo/import-direction` | imports follow the arrows above, never back, never beside them |
 * | `miredo/pure-core` | lib/core and lib/wire have no clock, no timer, no randomness, no input or output of their own |
 * | `miredo/no-type-assertion` | no `as` outside ffi/, apart from `as const` |
 * | `miredo/error-message` | an error's text starts in upper case, has no contraction and ends without a period |
 */

/** The rooms of the house. A file outside every room (the root, docs/) is under no rule of direction. */
const ROOMS = [
  "main.ts",
  "lib/cli",
  "lib/host",
  "lib/control",
  "lib/core",
  "lib/wire",
  "ffi",
  "config",
  "tests",
  "scripts",
] as const;

type Room = (typeof ROOMS)[number];

/** Which rooms a room may import from, besides itself. `"*"` is all of them. */
const ARROWS: Readonly<Record<Room, readonly Room[] | "*">> = {
  "main.ts": ["lib/cli"],
  "lib/cli": ["lib/host", "lib/control", "lib/core", "lib/wire", "config"],
  "lib/host": ["lib/control", "lib/core", "lib/wire", "ffi", "config"],
  "lib/control": ["lib/core", "lib/wire"],
  "lib/core": ["lib/wire"],
  "lib/wire": [],
  "ffi": [],
  "config": [],
  "tests": "*",
  "scripts": "*",
};

/** Rooms that a machine without kernel, clock or randomness must be able to run. */
const PURE_ROOMS: readonly Room[] = ["lib/core", "lib/wire"];

/** What a pure room may import from outside the house, name by name: deterministic functions only. */
const PURE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "node:crypto": ["createHmac", "timingSafeEqual"],
};

/** Globals that are a clock, a timer, a source of randomness, or a way out of the process. */
const IMPURE_GLOBALS: ReadonlySet<string> = new Set([
  "Deno",
  "Date",
  "Temporal",
  "performance",
  "console",
  "crypto",
  "fetch",
  "WebSocket",
  "Worker",
  "localStorage",
  "process",
  "globalThis",
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "queueMicrotask",
]);

/** Error classes whose first argument is the message. */
const ERROR_CLASSES: ReadonlySet<string> = new Set([
  "Error",
  "EvalError",
  "RangeError",
  "ReferenceError",
  "SyntaxError",
  "TypeError",
  "URIError",
]);

const CONTRACTION = /\b(?:can|don|doesn|didn|isn|aren|wasn|won|couldn|shouldn|hasn|haven)'t\b|\bit's\b/i;

/** Directory that holds deno.json, with a trailing slash. */
const ROOT = new URL("../", import.meta.url).pathname;

/** The path of a linted file relative to the root of the repository. */
function relativePath(filename: string): string {
  const path = filename.replaceAll("\\", "/");
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path.replace(/^\.?\//, "");
}

/** The room of a path relative to the root, or `undefined` outside all of them. */
function roomOf(path: string): Room | undefined {
  for (const room of ROOMS) {
    if (path === room || path.startsWith(`${room}/`)) return room;
  }
  return undefined;
}

function isPure(filename: string): boolean {
  const room = roomOf(relativePath(filename));
  return room !== undefined && PURE_ROOMS.includes(room);
}

/** The path, relative to the root, that a relative specifier in `from` names. */
function resolveSpecifier(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** What is wrong with importing `specifier` from file `from`, or `undefined`. */
function importFault(from: string, specifier: string): string | undefined {
  const room = roomOf(from);
  if (room === undefined) return undefined;
  const allowed = ARROWS[room];
  if (allowed === "*") return undefined;
  if (!specifier.startsWith(".")) {
    const pure = PURE_ROOMS.includes(room);
    return pure && !(specifier in PURE_IMPORTS) ? `${room} is pure and does not import "${specifier}"` : undefined;
  }
  const path = resolveSpecifier(from, specifier);
  const target = roomOf(path);
  if (target === room || (target !== undefined && allowed.includes(target))) return undefined;
  const may = allowed.length === 0 ? "nothing but itself" : allowed.join(", ");
  return `${room} does not import ${target ?? `"${path}"`}; it may import ${may}`;
}

/** The text with which an expression starts and ends, as far as the source tells. */
function literalEnds(node: Deno.lint.Node): { readonly start: string; readonly end: string; readonly all: string } {
  switch (node.type) {
    case "Literal": {
      const text = typeof node.value === "string" ? node.value : "";
      return { start: text, end: text, all: text };
    }
    case "TemplateLiteral": {
      const texts = node.quasis.map((quasi) => quasi.cooked);
      return { start: texts.at(0) ?? "", end: texts.at(-1) ?? "", all: texts.join(" ") };
    }
    case "BinaryExpression": {
      if (node.operator !== "+") return { start: "", end: "", all: "" };
      const left = literalEnds(node.left);
      const right = literalEnds(node.right);
      return { start: left.start, end: right.end, all: `${left.all} ${right.all}` };
    }
    default:
      return { start: "", end: "", all: "" };
  }
}

/** What is wrong with an error's message, or `undefined`. */
function messageFault(message: Deno.lint.Node): string | undefined {
  const { start, end, all } = literalEnds(message);
  if (/^\p{Ll}/u.test(start)) return "starts in lower case";
  if (/(?<!\.\.)\.\s*$/.test(end)) return "ends with a period";
  if (CONTRACTION.test(all)) return "has a contraction";
  return undefined;
}

/** Whether an identifier is a name in its own right (a variable), not the name of a property or of an import. */
function isVariable(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return parent.computed || parent.object === node;
    case "Property":
      return parent.computed || parent.shorthand || parent.value === node;
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.computed || parent.value === node;
    case "TSPropertySignature":
    case "TSMethodSignature":
    case "ImportSpecifier":
    case "ExportSpecifier":
    case "TSEnumMember":
    case "TSQualifiedName":
      return false;
    default:
      return true;
  }
}

const importDirection: Deno.lint.Rule = {
  create(context) {
    const from = relativePath(context.filename);
    const room = roomOf(from);
    const check = (node: Deno.lint.Node, specifier: unknown): void => {
      if (typeof specifier !== "string") return;
      const fault = importFault(from, specifier);
      if (fault !== undefined) context.report({ node, message: fault });
    };
    return {
      ImportDeclaration(node) {
        check(node, node.source.value);
        if (room === undefined || !PURE_ROOMS.includes(room)) return;
        const names = PURE_IMPORTS[node.source.value];
        if (names === undefined) return;
        for (const specifier of node.specifiers) {
          const imported = specifier.type === "ImportSpecifier" && specifier.imported.type === "Identifier"
            ? specifier.imported.name
            : "*";
          if (names.includes(imported)) continue;
          const message = `${room} is pure and imports only ${names.join(", ")} from "${node.source.value}"`;
          context.report({ node: specifier, message });
        }
      },
      ExportNamedDeclaration(node) {
        if (node.source !== null) check(node, node.source.value);
      },
      ExportAllDeclaration(node) {
        check(node, node.source.value);
      },
      ImportExpression(node) {
        if (node.source.type === "Literal") check(node, node.source.value);
      },
      TSImportType(node) {
        if (node.argument.type === "TSLiteralType" && node.argument.literal.type === "Literal") {
          check(node, node.argument.literal.value);
        }
      },
    };
  },
};

const pureCore: Deno.lint.Rule = {
  create(context) {
    if (!isPure(context.filename)) return {};
    return {
      Identifier(node) {
        if (!IMPURE_GLOBALS.has(node.name) || !isVariable(node)) return;
        context.report({
          node,
          message: `"${node.name}" is out of bounds in lib/core and lib/wire`,
          hint: "Time, randomness and addresses come in, packets and events go out (lib/core/machine.ts)",
        });
      },
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.object.name !== "Math") return;
        const name = node.property.type === "Identifier" && !node.computed
          ? node.property.name
          : node.property.type === "Literal"
          ? node.property.value
          : undefined;
        if (name !== "random") return;
        context.report({
          node,
          message: `"Math.random" is out of bounds in lib/core and lib/wire`,
          hint: "Draw from the Random that comes with the environment (lib/core/machine.ts)",
        });
      },
    };
  },
};

const noTypeAssertion: Deno.lint.Rule = {
  create(context) {
    if (roomOf(relativePath(context.filename)) === "ffi") return {};
    const message = "A type assertion hides what the compiler would find; only ffi/ may use it";
    const hint = "Narrow with a check, or declare the type where the value is made";
    return {
      TSAsExpression(node) {
        const type = node.typeAnnotation;
        const isConst = type.type === "TSTypeReference" && type.typeName.type === "Identifier" &&
          type.typeName.name === "const";
        if (!isConst) context.report({ node, message, hint });
      },
      TSTypeAssertion(node) {
        context.report({ node, message, hint });
      },
    };
  },
};

const errorMessage: Deno.lint.Rule = {
  create(context) {
    const check = (callee: Deno.lint.Node, args: readonly Deno.lint.Node[]): void => {
      const message = args[0];
      if (callee.type !== "Identifier" || !ERROR_CLASSES.has(callee.name) || message === undefined) return;
      const fault = messageFault(message);
      if (fault === undefined) return;
      context.report({
        node: message,
        message: `The error's text ${fault}`,
        hint: 'Action first, values quoted, no period: Cannot open "/dev/net/tun": EACCES (needs CAP_NET_ADMIN)',
      });
    };
    return {
      NewExpression(node) {
        check(node.callee, node.arguments);
      },
      CallExpression(node) {
        check(node.callee, node.arguments);
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "miredo",
  rules: {
    "import-direction": importDirection,
    "pure-core": pureCore,
    "no-type-assertion": noTypeAssertion,
    "error-message": errorMessage,
  },
};

// The linter takes a plugin from the default export, the only one in this repository.
export default plugin;
