/** What both ends of the admin socket agree on besides the methods. */

/** Error code of a Refusal; -32000 to -32099 are the implementation's (JSON-RPC 2.0, section 5.1). */
export const REFUSED = -32000;

/** The longest request line, in bytes. */
export const MAX_REQUEST = 1024 * 1024;

/** The longest answer: a device can have thousands of contexts. */
export const MAX_ANSWER = 64 * 1024 * 1024;

/** The notification in which a monitor gets an entry. */
export const MONITOR_NOTIFICATION = 'monitor.entry';

/** Events that can be raised on a port, besides those of its link. */
export const RAISABLE_EVENTS = [
  'LID_CHANGE',
  'GID_CHANGE',
  'PKEY_CHANGE',
  'SM_CHANGE',
  'CLIENT_REREGISTER',
] as const;
export type RaisableEvent = (typeof RAISABLE_EVENTS)[number];
