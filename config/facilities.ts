/** The facilities of the system log by their names (syslog(3)), with their numbers (RFC 5424 6.2.1). */

/** "kern" is the kernel's own: the C library writes what a program has for it as "user". */
export const SYSLOG_FACILITIES: Readonly<Record<string, number>> = {
  kern: 1,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
};
