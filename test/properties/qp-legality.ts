/**
 * Which changes of a QP's state are legal, with which attributes: the rules of ib_modify_qp_is_ok once more, written
 * down apart from the program so that one checks the other.
 */

/** Bit numbers of enum ib_qp_attr_mask. */
export const BIT = {
  STATE: 0,
  CUR: 1,
  EN_SQD: 2,
  ACC: 3,
  PKEY: 4,
  PORT: 5,
  QKEY: 6,
  AV: 7,
  MTU: 8,
  TMO: 9,
  RETRY: 10,
  RNR: 11,
  RQPSN: 12,
  MAXRD: 13,
  ALT: 14,
  MINRNR: 15,
  SQPSN: 16,
  MAXDRD: 17,
  MIG: 18,
  DQPN: 20,
} as const;

export const STATES = ['RESET', 'INIT', 'RTR', 'RTS', 'SQD', 'SQE', 'ERR'] as const;
export type State = (typeof STATES)[number];
export const TYPES = { RC: 2, UC: 3, UD: 4, RAW: 8, XI: 9, XT: 10 } as const;
export type Type = keyof typeof TYPES;

/** Transition, types: what it needs; what it may have. Each goes without attributes for types that are not named. */
const RULES = `
RESET>INIT  RC UC XI XT : PKEY PORT ACC ;
RESET>INIT  UD          : PKEY PORT QKEY ;
RESET>INIT  RAW         : PORT ;
INIT>INIT   RC UC XI XT : ; PKEY PORT ACC
INIT>INIT   UD          : ; PKEY PORT QKEY
INIT>RTR    RC XT       : AV MTU DQPN RQPSN MAXDRD MINRNR ; ALT ACC PKEY
INIT>RTR    UC XI       : AV MTU DQPN RQPSN ; ALT ACC PKEY
INIT>RTR    UD          : ; PKEY QKEY
RTR>RTS     RC          : TMO RETRY RNR SQPSN MAXRD ; CUR ALT ACC MIG MINRNR
RTR>RTS     XI          : TMO RETRY RNR SQPSN MAXRD ; CUR ALT ACC MIG
RTR>RTS     XT          : TMO SQPSN ; CUR ALT ACC MINRNR MIG
RTR>RTS     UC          : SQPSN ; CUR ALT ACC MIG
RTR>RTS     UD          : SQPSN ; CUR QKEY
RTS>RTS     RC XT       : ; CUR ACC ALT MIG MINRNR
RTS>RTS     UC XI       : ; CUR ACC ALT MIG
RTS>RTS     UD          : ; CUR QKEY
RTS>SQD     RC UC UD XI XT : ; EN_SQD
SQD>RTS     RC XT       : ; CUR ALT ACC MINRNR MIG
SQD>RTS     UC XI       : ; CUR ALT ACC MIG
SQD>RTS     UD          : ; CUR QKEY
SQD>SQD     RC          : ; PORT AV TMO RETRY RNR MAXRD MAXDRD ALT ACC PKEY MINRNR MIG
SQD>SQD     XI          : ; PORT AV TMO RETRY RNR MAXRD ALT ACC PKEY MIG
SQD>SQD     XT          : ; PORT AV TMO MAXDRD ALT ACC PKEY MINRNR MIG
SQD>SQD     UC          : ; AV ALT ACC PKEY MIG
SQD>SQD     UD          : ; PKEY QKEY
SQE>RTS     UD          : ; CUR QKEY
SQE>RTS     UC          : ; CUR ACC
`;

interface Attributes {
  needs: number;
  takes: number;
}

function maskOf(names: string): number {
  const bits = names.split(' ').filter((name) => name !== '');
  return bits.reduce((mask, name) => mask | (1 << BIT[name as keyof typeof BIT]), 0);
}

const table = new Map<string, Partial<Record<Type, Attributes>>>();
for (const rule of RULES.trim().split('\n')) {
  const [head = '', tail = ''] = rule.split(':');
  const [transition = '', ...types] = head.trim().split(/\s+/);
  const [needs = '', takes = ''] = tail.split(';');
  const row = table.get(transition) ?? {};
  for (const type of types as Type[]) row[type] = { needs: maskOf(needs), takes: maskOf(takes) };
  table.set(transition, row);
}

const NOTHING: Attributes = { needs: 0, takes: 0 };

/** What a transition needs and may have; `undefined` if there is none. */
export function attributesOf(type: Type, from: State, to: State): Attributes | undefined {
  if (to === 'RESET') return NOTHING;
  if (to === 'ERR') return from === 'RESET' ? undefined : NOTHING;
  const row = table.get(`${from}>${to}`);
  return row && (row[type] ?? NOTHING);
}

/** What XRC leaves out of a connection, by side. */
const DROPPED: Partial<Record<Type, number>> = { XI: maskOf('MAXDRD MINRNR'), XT: maskOf('MAXRD RETRY RNR') };

/** The mask after the core has dropped what does not concern the type. */
export function effectiveMask(type: Type, mask: number): number {
  return mask & ~(DROPPED[type] ?? 0);
}

/** Whether a QP may go from one state to the other with exactly these attributes. */
export function isLegal(type: Type, from: State, to: State, mask: number): boolean {
  const attributes = attributesOf(type, from, to);
  if (attributes === undefined) return false;
  const { needs, takes } = attributes;
  const given = mask & ~(1 << BIT.STATE);
  if ((given & (1 << BIT.CUR)) !== 0 && !['RTR', 'RTS', 'SQD', 'SQE'].includes(from)) return false;
  return (given & needs) === needs && (given & ~(needs | takes)) === 0;
}
