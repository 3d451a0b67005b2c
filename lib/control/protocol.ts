/**
 * The language of the control socket: JSON, one value a line, both ways.
 *
 * ```
 *   ▶ {"version":1,"id":7,"method":"status","params":{"peers":true}}
 *   ◀ {"version":1,"id":7,"item":[{"address":"2001:0:...", ...}, ...]}        any number
 *   ◀ {"version":1,"id":7,"result":{"schema":1, ...}}                         or "error": {"code", "message"}
 * ```
 *
 * | method | params | items | result |
 * |---|---|---|---|
 * | `status` | `peers`: true for the list | arrays of peers | the status |
 * | `metrics` | | | Prometheus text |
 * | `ping` | `address`, `count`, `interval_ms`, `timeout_ms` | steps | a summary |
 *
 * Requests of one connection are answered one after another.
 */

/** Version of this language; a daemon refuses others. */
export const PROTOCOL_VERSION = 1;

/** Longest request, octets. */
export const MAX_REQUEST = 65_536;

/** Codes of errors. */
export type ErrorCode =
  | "bad-request"
  | "unknown-method"
  | "bad-params"
  | "unsupported-version"
  | "not-possible"
  | "internal";

/** A request that could be read. */
export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** A line of an answer. */
export type Response =
  | { readonly version: number; readonly id: number; readonly item: unknown }
  | { readonly version: number; readonly id: number; readonly result: unknown }
  | {
    readonly version: number;
    readonly id: number;
    readonly error: { readonly code: ErrorCode; readonly message: string };
  };

/** An error for whoever asked. */
export class RequestError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The values of an object, or undefined when it is something else. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Reads a request. @throws RequestError */
export function parseRequest(line: string): Request {
  const request = recordOf(parseJson(line));
  if (request === undefined) {
    throw new RequestError("bad-request", "Cannot understand the request: it is no JSON object");
  }
  const { version, id = 0, method, params = {} } = request;
  if (version !== PROTOCOL_VERSION) {
    const asked = JSON.stringify(version) ?? "none";
    throw new RequestError("unsupported-version", `Cannot speak version ${asked}: this is ${PROTOCOL_VERSION}`);
  }
  if (typeof id !== "number") throw new RequestError("bad-request", "Cannot answer: id is no number");
  if (typeof method !== "string") throw new RequestError("bad-request", "Cannot answer: method is no text");
  const values = recordOf(params);
  if (values === undefined) throw new RequestError("bad-params", "Cannot answer: params is no object");
  return { id, method, params: values };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A request as a line. */
export function formatRequest(request: Request): string {
  return `${JSON.stringify({ version: PROTOCOL_VERSION, ...request })}\n`;
}

/** A line of an answer, with its end. */
export function formatResponse(
  id: number,
  body: { readonly item: unknown } | { readonly result: unknown } | { readonly error: RequestError },
): string {
  const content = "error" in body ? { error: { code: body.error.code, message: body.error.message } } : body;
  return `${JSON.stringify({ version: PROTOCOL_VERSION, id, ...content })}\n`;
}

/** Reads a line of an answer; undefined when it is none. */
export function parseResponse(line: string):
  | { readonly kind: "item" | "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly message: string }
  | undefined {
  const response = recordOf(parseJson(line));
  if (response === undefined || response.version !== PROTOCOL_VERSION) return undefined;
  if ("item" in response) return { kind: "item", value: response.item };
  if ("result" in response) return { kind: "result", value: response.result };
  const message = recordOf(response.error)?.message;
  return typeof message === "string" ? { kind: "error", message } : undefined;
}

/** Cuts a stream of octets into lines. */
export class LineReader {
  readonly #limit: number;
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** @param limit characters a line may have */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that these octets complete, without their ends; undefined when a line is too long. */
  push(octets: Uint8Array): readonly string[] | undefined {
    const lines = (this.#rest + this.#decoder.decode(octets, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    return [this.#rest, ...lines].some((line) => line.length > this.#limit) ? undefined : lines;
  }

  /** Whether a line has begun. */
  get partial(): boolean {
    return this.#rest !== "";
  }
}
