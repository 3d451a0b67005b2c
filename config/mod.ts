/**
 * Configuration of the daemon: one schema, loading, errors with places, sample files. Reads nothing but the file it is told.
 *
 * @module
 */

export type { ClientConfig, Config, LogFormat, LogLevel, RelayConfig, Role, ServerConfig } from "./schema.ts";
export { LOG_FORMATS, LOG_LEVELS, ROLES } from "./schema.ts";
export {
  CONFIG_DIRECTORY,
  defaultFile,
  loadConfig,
  type Loading,
  type LoadOptions,
  loadWithSources,
  type Override,
  roleOfFile,
} from "./load.ts";
export { ConfigError, type ConfigIssue, formatIssue, nearest, type Place } from "./problems.ts";
export { SYSLOG_FACILITIES } from "./facilities.ts";
export { type ListenAddress, parseListenAddress } from "./addresses.ts";
export { effectiveConfig, sampleConfig } from "./text.ts";
export { formatRemark, importLegacy, LEGACY_FILES, type LegacyImport, type Remark } from "./legacy_import.ts";
