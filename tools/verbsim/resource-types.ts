/** Types of resources as the command line names them, as in `rdma resource`, and as the daemon does. */
export const RESOURCE_TYPES: Readonly<Record<string, string>> = {
  ctx: 'context',
  pd: 'PD',
  mr: 'MR',
  mw: 'MW',
  cq: 'CQ',
  qp: 'QP',
  srq: 'SRQ',
  xrcd: 'XRCD',
  wq: 'WQ',
  rwq: 'RWQ indirection table',
  flow: 'flow',
};
