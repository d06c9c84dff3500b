/** enum ib_wq_state. */
export const WqState = { RESET: 0, RDY: 1, ERR: 2 } as const;
