/**
 * Receive side scaling (hw/mlx4/qp.c, _mlx4_ib_create_qp_rss): a raw packet QP without queues, whose packets a hash
 * spreads over the work queues of an indirection table.
 */
import { Errno } from '../../devfs/errno.js';
import { mlx4IbCreateQpRss, mlx4IbRxHashFields, mlx4IbRxHashFunctionFlags } from '../abi/index.js';
import { type QpInit, QpType, type RwqIndTable } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import { isCleared } from './udata.js';
import type { Mlx4Wq } from './wq.js';
import { WqState } from './wq-state.js';

export interface Rss {
  readonly wqs: readonly Mlx4Wq[];
  /** MLX4_IB_RX_HASH_*: what of a packet is hashed. */
  readonly hashFields: number;
  /** 40 bytes, for the Toeplitz function. */
  readonly hashKey: Uint8Array;
}

const F = mlx4IbRxHashFields;
const IPV4 = F.MLX4_IB_RX_HASH_SRC_IPV4 | F.MLX4_IB_RX_HASH_DST_IPV4;
const IPV6 = F.MLX4_IB_RX_HASH_SRC_IPV6 | F.MLX4_IB_RX_HASH_DST_IPV6;
const TCP = F.MLX4_IB_RX_HASH_SRC_PORT_TCP | F.MLX4_IB_RX_HASH_DST_PORT_TCP;
const UDP = F.MLX4_IB_RX_HASH_SRC_PORT_UDP | F.MLX4_IB_RX_HASH_DST_PORT_UDP;
/** Not MLX4_IB_RX_HASH_INNER: the adapter has no tunnel offload. */
export const HASH_FIELDS = IPV4 | IPV6 | TCP | UDP;

/** Input: mlx4_ib_create_qp_rss, all of it; no output. */
export function parseRss(init: QpInit, table: RwqIndTable, udata: Udata): Rss {
  const unsupported = (why: string): Errno => new Errno('EOPNOTSUPP', why);
  if (udata.outputLength > 0) throw unsupported('an RSS QP has no driver output');
  if (udata.inputLength < mlx4IbCreateQpRss.size) throw new Errno('EINVAL', 'the driver input is too short');
  const request = mlx4IbCreateQpRss.read(udata.copyIn(mlx4IbCreateQpRss.size), 0);
  if (request.reserved.some((byte) => byte !== 0) || request.compMask !== 0 || request.reserved1 !== 0) {
    throw unsupported('comp_mask or reserved is set');
  }
  if (!isCleared(udata, mlx4IbCreateQpRss.size)) throw unsupported('the driver input has unknown parts');
  if (init.type !== QpType.RAW_PACKET) throw unsupported('only raw packets are spread');
  if (init.createFlags !== 0) throw unsupported('an RSS QP has no create flags');
  if (init.sendCq !== undefined || init.cap.maxSendWr !== 0) throw unsupported('an RSS QP does not send');
  if (request.rxHashFunction !== mlx4IbRxHashFunctionFlags.MLX4_IB_RX_HASH_FUNC_TOEPLITZ) {
    throw unsupported(`hash function ${request.rxHashFunction}`);
  }
  return {
    wqs: table.wqs as Mlx4Wq[],
    hashFields: parseHashFields(request.rxHashFieldsMask),
    hashKey: request.rxHashKey,
  };
}

/** Source and destination go together, and ports need addresses. */
function parseHashFields(mask: bigint): number {
  const refuse = (): never => {
    throw new Errno('EOPNOTSUPP', `hash fields 0x${mask.toString(16)}`);
  };
  if ((mask & ~BigInt(HASH_FIELDS)) !== 0n) refuse();
  const fields = Number(mask);
  for (const pair of [IPV4, IPV6, TCP, UDP]) {
    if ((fields & pair) !== 0 && (fields & pair) !== pair) refuse();
  }
  if ((fields & (TCP | UDP)) !== 0 && (fields & (IPV4 | IPV6)) === 0) refuse();
  return fields;
}

/**
 * The first RSS QP over a WQ gives it its port and makes it receive, if the client wants that. A WQ serves one port:
 * EINVAL for another, with nothing changed.
 */
export function bringUpWqs({ wqs }: Rss, port: number): void {
  for (const wq of wqs) {
    if (wq.rssUsers > 0 && wq.port !== port) {
      throw new Errno('EINVAL', `work queue ${wq.wqNum} belongs to port ${wq.port}`);
    }
  }
  for (const wq of wqs) {
    wq.port = port;
    if (wq.rssUsers === 0 && wq.state === WqState.RDY) wq.hardwareState = WqState.RDY;
    wq.rssUsers++;
  }
}

/** The WQs keep their state: they are reset when they are destroyed or modified. */
export function takeDownWqs({ wqs }: Rss): void {
  for (const wq of wqs) wq.rssUsers--;
}
