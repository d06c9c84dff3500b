/** Counters of the adapter by their sysfs names (core/sysfs.c; mlx4/main.c, diag_basic and diag_device_only). */

/** Of a port; data counters are in units of 4 bytes. */
const PORT_COUNTERS = [
  'symbol_error',
  'link_error_recovery',
  'link_downed',
  'port_rcv_errors',
  'port_rcv_remote_physical_errors',
  'port_rcv_switch_relay_errors',
  'port_xmit_discards',
  'port_xmit_constraint_errors',
  'port_rcv_constraint_errors',
  'local_link_integrity_errors',
  'excessive_buffer_overrun_errors',
  'VL15_dropped',
  'port_xmit_data',
  'port_rcv_data',
  'port_xmit_packets',
  'port_rcv_packets',
  'port_xmit_wait',
  'unicast_xmit_packets',
  'unicast_rcv_packets',
  'multicast_xmit_packets',
  'multicast_rcv_packets',
] as const;

/** Diagnostic counters of the whole adapter. */
const HW_COUNTERS = [
  'rq_num_lle',
  'sq_num_lle',
  'rq_num_lqpoe',
  'sq_num_lqpoe',
  'rq_num_lpe',
  'sq_num_lpe',
  'rq_num_wrfe',
  'sq_num_wrfe',
  'sq_num_mwbe',
  'sq_num_bre',
  'sq_num_rire',
  'rq_num_rire',
  'sq_num_rae',
  'rq_num_rae',
  'sq_num_roe',
  'sq_num_tree',
  'sq_num_rree',
  'rq_num_rnr',
  'sq_num_rnr',
  'rq_num_oos',
  'sq_num_oos',
  'num_cqovf',
  'rq_num_udsdprd',
] as const;

export type PortCounters = Record<(typeof PORT_COUNTERS)[number], bigint>;
export type HwCounters = Record<(typeof HW_COUNTERS)[number], bigint>;

function zeroed<N extends string>(names: readonly N[]): Record<N, bigint> {
  return Object.fromEntries(names.map((name) => [name, 0n])) as Record<N, bigint>;
}

export const newPortCounters = (): PortCounters => zeroed(PORT_COUNTERS);
export const newHwCounters = (): HwCounters => zeroed(HW_COUNTERS);
