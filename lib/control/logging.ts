/**
 * Logs of the daemon, on standard error or in the system log: one line a transition, never one a packet. The message is constant text, what varies are fields.
 *
 * ```
 *   text      2026-11-21T09:30:00.123Z info    Qualified address=2001:0:c000:201:... elapsed=212
 *   journal   <6>Qualified address=2001:0:c000:201:... elapsed=212           (sd-daemon(3): priority; the journal has the time)
 *   syslog    Qualified address=2001:0:c000:201:... elapsed=212              (priority, time and process stand before it)
 *   json      {"time":"2026-11-21T09:30:00.123Z","level":"info","logger":"miredo.client","message":"Qualified","elapsed":212}
 * ```
 *
 * Lines are written at once and whole: a process that ends right after has lost none.
 */

import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import { fstatSync } from "node:fs";

export { getLogger };

/** The least urgent message that is logged. */
export type Level = "error" | "warning" | "info" | "debug";

/** How messages look; `auto` is `journal` where the journal reads standard error, else `text`. */
export type Format = "auto" | "text" | "journal" | "json";

export interface LoggingOptions {
  readonly level: Level;
  readonly format: Format;
  /** Name of the facility; empty: standard error. */
  readonly syslog_facility: string;
  /** Path of the system log's socket. */
  readonly syslog_socket: string;
}

/** The system log of the host. */
export interface SystemLog {
  /** Where messages go from now on. @returns why they cannot, or undefined */
  configure(options: Pick<LoggingOptions, "syslog_facility" | "syslog_socket">): string | undefined;
  /**
   * Takes a message, without waiting.
   * @param severity RFC 5424 6.2.1
   * @returns false when it could not
   */
  write(severity: number, text: string): boolean;
}

/** How one line is written. */
export interface LineStyle {
  readonly format: Exclude<Format, "auto"> | "syslog";
  /** With ANSI colours; text only. */
  readonly color: boolean;
  /** With the stack of errors among the fields. */
  readonly stacks: boolean;
}

/** syslog priorities (RFC 5424 6.2.1) and colours (ECMA-48 SGR parameters) of levels. */
const LEVELS: Readonly<Record<LogRecord["level"], { readonly priority: number; readonly color: string }>> = {
  fatal: { priority: 2, color: "31" },
  error: { priority: 3, color: "31" },
  warning: { priority: 4, color: "33" },
  info: { priority: 6, color: "32" },
  debug: { priority: 7, color: "2" },
  trace: { priority: 7, color: "2" },
};

/** The longest name of a level, for columns. */
const LEVEL_WIDTH = "warning".length;

/** Names in JSON lines that fields cannot take; theirs get "_" appended. */
const RESERVED: readonly string[] = ["time", "level", "logger", "message"];

const log = getLogger(["miredo", "log"]);

const encoder = new TextEncoder();

/**
 * Sends the logs of this isolate where they are to go from now on. May be called again, for a new level, format or facility. What the
 * system log does not take goes to standard error, so that nothing is lost.
 * @returns how lines look on standard error, or "syslog"
 */
export function setUpLogging(options: LoggingOptions, system: SystemLog): LineStyle["format"] {
  const style: LineStyle = {
    format: options.format === "auto" ? (journalReads() ? "journal" : "text") : options.format,
    color: !Deno.noColor && Deno.stderr.isTerminal(),
    stacks: options.level === "debug",
  };
  const systemStyle: LineStyle = { ...style, format: options.format === "json" ? "json" : "syslog", color: false };
  const toSystem = options.syslog_facility !== "";
  const problem = system.configure(options);
  configureSync({
    reset: true,
    sinks: {
      all: (record: LogRecord) => {
        if (toSystem && system.write(LEVELS[record.level].priority, formatRecord(record, systemStyle))) return;
        writeStderr(`${formatRecord(record, style)}\n`);
      },
    },
    loggers: [
      { category: "miredo", lowestLevel: options.level, sinks: ["all"] },
      // What the library says of itself: only when it goes wrong.
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["all"] },
    ],
  });
  if (problem !== undefined) log.warn("Messages go to standard error", { reason: problem });
  return toSystem ? "syslog" : style.format;
}

/** Writes all of `text` to standard error before it returns. A reader that is gone is no reason to fail. */
export function writeStderr(text: string): void {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch {
    // Nobody reads, and there is nowhere else to say so.
  }
}

/** Whether standard error is the stream that systemd connected to the journal (systemd.exec(5), `JOURNAL_STREAM`). */
function journalReads(): boolean {
  // Asked first: reading a variable without permission would stop and prompt.
  if (Deno.permissions.querySync({ name: "env", variable: "JOURNAL_STREAM" }).state !== "granted") return false;
  const stream = Deno.env.get("JOURNAL_STREAM");
  if (stream === undefined) return false;
  try {
    // The variable is inherited by whatever is started from a service; only the same descriptor is the journal.
    const { dev, ino } = fstatSync(2);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** One record as one line, without its end. */
export function formatRecord(record: LogRecord, style: LineStyle): string {
  switch (style.format) {
    case "text":
      return formatText(record, style);
    case "journal":
      return `<${LEVELS[record.level].priority}>${oneLine(textOf(record))}${fieldsOf(record, style)}`;
    case "syslog":
      return `${oneLine(textOf(record))}${fieldsOf(record, style)}`;
    case "json":
      return formatJson(record, style);
  }
}

function formatText(record: LogRecord, style: LineStyle): string {
  const paint = (text: string, color: string): string => (style.color ? `\x1b[${color}m${text}\x1b[0m` : text);
  const time = paint(new Date(record.timestamp).toISOString(), "2");
  const level = paint(record.level.padEnd(LEVEL_WIDTH), LEVELS[record.level].color);
  return `${time} ${level} ${oneLine(textOf(record))}${fieldsOf(record, style)}`;
}

function formatJson(record: LogRecord, style: LineStyle): string {
  const line: Record<string, unknown> = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    logger: record.category.join("."),
    message: textOf(record),
  };
  for (const [key, value] of Object.entries(record.properties)) {
    line[RESERVED.includes(key) ? `${key}_` : key] = jsonValue(value, style);
  }
  return JSON.stringify(line);
}

/** The message as it was written. Nothing is put into it: what varies are fields, and braces in quoted errors mean themselves. */
function textOf(record: LogRecord): string {
  return typeof record.rawMessage === "string" ? record.rawMessage : record.message.map(String).join("");
}

/** ` key=value` for every field. */
function fieldsOf(record: LogRecord, style: LineStyle): string {
  let text = "";
  for (const [key, value] of Object.entries(record.properties)) {
    if (value !== undefined) text += ` ${key}=${textValue(value, style)}`;
  }
  return text;
}

function textValue(value: unknown, style: LineStyle): string {
  const plain = jsonValue(value, style);
  const text = typeof plain === "string" ? plain : JSON.stringify(plain) ?? "undefined";
  return oneLine(typeof plain === "string" && !/^[^\s"=\p{Cc}]+$/u.test(text) ? JSON.stringify(text) : text);
}

/** A field as JSON can hold it. */
function jsonValue(value: unknown, style: LineStyle): unknown {
  if (value instanceof Error) return style.stacks && value.stack !== undefined ? value.stack : value.message;
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isInteger(value) && Number.isFinite(value)) return Number(value.toFixed(3));
  return value;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** Text with line ends and other control characters escaped as JSON does: a log line stays one line whatever it quotes. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : escaped;
  });
}
