/** Bits of poll(2). */
const POLLIN = 0x001;
export const POLLERR = 0x008;
const POLLRDNORM = 0x040;
/** Of an event file with an event. */
export const READABLE = POLLIN | POLLRDNORM;
