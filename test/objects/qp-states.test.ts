/**
 * The state machine of a QP: every type, every state, every state after it, with each attribute that it needs, takes or
 * refuses. The tables are written from the InfiniBand specification's and the kernel's (ib_modify_qp_is_ok), apart from
 * the program's own.
 */
import t, { type Test } from 'tap';
import { isTransitionAllowed } from '../../src/core/qp-transitions.js';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { createQp, exModifyQp, modifyQp, path, QpMask, QpState, QpType } from './support/requests.js';
import { made, type Scene, Stage, xrcTarget } from './support/scene.js';

const daemon = await startDaemon(t, { config: '[[device]]\n\n[[device]]\nlink_layer = "ethernet"\n' });

type State = keyof typeof QpState;
type Mask = Exclude<keyof typeof QpMask, 'STATE'>;
type Type = 'RC' | 'UC' | 'UD' | 'XI' | 'XT' | 'RAW';

const TYPES: Record<Type, number> = {
  RC: QpType.RC,
  UC: QpType.UC,
  UD: QpType.UD,
  XI: QpType.XRC_INI,
  XT: QpType.XRC_TGT,
  RAW: QpType.RAW_PACKET,
};
const ALL_TYPES = Object.keys(TYPES) as Type[];
const ALL_STATES = Object.keys(QpState) as State[];
const ALL_MASKS = (Object.keys(QpMask) as (keyof typeof QpMask)[]).filter((mask) => mask !== 'STATE');

type Rule = [from: State, to: State, types: string, required: string, optional: string];

/** What each type needs and takes beside the state; a type that is not named for a pair takes nothing. */
const RULES: Rule[] = [
  ['RESET', 'INIT', 'RC UC XI XT', 'PKEY PORT ACC', ''],
  ['RESET', 'INIT', 'UD', 'PKEY PORT QKEY', ''],
  ['RESET', 'INIT', 'RAW', 'PORT', ''],
  ['INIT', 'INIT', 'RC UC XI XT', '', 'PKEY PORT ACC'],
  ['INIT', 'INIT', 'UD', '', 'PKEY PORT QKEY'],
  ['INIT', 'RTR', 'RC XT', 'AV MTU DQPN RQPSN MAXDRD MINRNR', 'ALT ACC PKEY'],
  ['INIT', 'RTR', 'UC XI', 'AV MTU DQPN RQPSN', 'ALT ACC PKEY'],
  ['INIT', 'RTR', 'UD', '', 'PKEY QKEY'],
  ['RTR', 'RTS', 'RC', 'TMO RETRY RNR SQPSN MAXRD', 'CUR ALT ACC MIG MINRNR'],
  ['RTR', 'RTS', 'XI', 'TMO RETRY RNR SQPSN MAXRD', 'CUR ALT ACC MIG'],
  ['RTR', 'RTS', 'XT', 'TMO SQPSN', 'CUR ALT ACC MINRNR MIG'],
  ['RTR', 'RTS', 'UC', 'SQPSN', 'CUR ALT ACC MIG'],
  ['RTR', 'RTS', 'UD', 'SQPSN', 'CUR QKEY'],
  ['RTS', 'RTS', 'RC XT', '', 'CUR ACC ALT MIG MINRNR'],
  ['RTS', 'RTS', 'UC XI', '', 'CUR ACC ALT MIG'],
  ['RTS', 'RTS', 'UD', '', 'CUR QKEY'],
  ['RTS', 'SQD', 'RC UC UD XI XT', '', 'EN_SQD'],
  ['SQD', 'RTS', 'RC XT', '', 'CUR ALT ACC MINRNR MIG'],
  ['SQD', 'RTS', 'UC XI', '', 'CUR ALT ACC MIG'],
  ['SQD', 'RTS', 'UD', '', 'CUR QKEY'],
  ['SQD', 'SQD', 'RC', '', 'PORT AV TMO RETRY RNR MAXRD MAXDRD ALT ACC PKEY MINRNR MIG'],
  ['SQD', 'SQD', 'XI', '', 'PORT AV TMO RETRY RNR MAXRD ALT ACC PKEY MIG'],
  ['SQD', 'SQD', 'XT', '', 'PORT AV TMO MAXDRD ALT ACC PKEY MINRNR MIG'],
  ['SQD', 'SQD', 'UC', '', 'AV ALT ACC PKEY MIG'],
  ['SQD', 'SQD', 'UD', '', 'PKEY QKEY'],
  ['SQE', 'RTS', 'UD', '', 'CUR QKEY'],
  ['SQE', 'RTS', 'UC', '', 'CUR ACC'],
];

/** Dropped by the core before it looks: the other side's part of a connection. */
const IGNORED: Partial<Record<Type, Mask[]>> = { XI: ['MAXDRD', 'MINRNR'], XT: ['MAXRD', 'RETRY', 'RNR'] };

const words = (text: string): Mask[] => text.split(' ').filter((word) => word !== '') as Mask[];

interface Transition {
  required: Mask[];
  optional: Mask[];
}

/** Undefined: there is no such transition. */
function transition(type: Type, from: State, to: State): Transition | undefined {
  if (to === 'RESET' || (to === 'ERR' && from !== 'RESET')) return { required: [], optional: [] };
  const rules = RULES.filter((rule) => rule[0] === from && rule[1] === to);
  if (rules.length === 0) return undefined;
  const rule = rules.find(([, , types]) => types.split(' ').includes(type));
  return { required: words(rule?.[3] ?? ''), optional: words(rule?.[4] ?? '') };
}

const bitsOf = (masks: readonly Mask[]): number =>
  masks.reduce((bits, mask) => bits | QpMask[mask], QpMask.STATE as number);

/** What a mask comes to through the write command, with everything that happens on the way to the table. */
function expected(type: Type, from: State, to: State, masks: readonly Mask[]): string {
  if (masks.includes('RATE')) return 'EOPNOTSUPP';
  const found = transition(type, from, to);
  if (found === undefined) return 'EINVAL';
  const given = new Set(masks.filter((mask) => !IGNORED[type]?.includes(mask)));
  // A path sets the port, too, except on the way to RTR.
  if (given.has('AV') && to !== 'RTR') given.add('PORT');
  if (found.required.some((mask) => !given.has(mask) && !IGNORED[type]?.includes(mask))) return 'EINVAL';
  const known = [...found.required, ...found.optional];
  return [...given].every((mask) => known.includes(mask)) ? 'ok' : 'EINVAL';
}

/** The sets of attributes that a pair of states is tried with, by what is special about them. */
function attempts(type: Type, from: State, to: State): [what: string, masks: Mask[]][] {
  const found = transition(type, from, to);
  if (found === undefined) return [['alone', []]];
  const { required, optional } = found;
  const extra = ALL_MASKS.filter((mask) => !required.includes(mask) && !optional.includes(mask));
  return [
    ['with what it needs', required],
    ['with everything that it takes', [...required, ...optional]],
    ...required.map((mask): [string, Mask[]] => [`without ${mask}`, required.filter((m) => m !== mask)]),
    ...optional.map((mask): [string, Mask[]] => [`with ${mask}`, [...required, mask]]),
    ...extra.map((mask): [string, Mask[]] => [`with ${mask}`, [...required, mask]]),
  ];
}

/** How a QP gets where it starts from. SQE is where only an error of the adapter leads. */
const ROUTES: Record<Exclude<State, 'SQE'>, State[]> = {
  RESET: [],
  INIT: ['INIT'],
  RTR: ['INIT', 'RTR'],
  RTS: ['INIT', 'RTR', 'RTS'],
  SQD: ['INIT', 'RTR', 'RTS', 'SQD'],
  ERR: ['INIT', 'ERR'],
};

class Machine {
  readonly #scene: Scene;
  readonly #type: Type;
  readonly #handle: number;
  #state: State | undefined = 'RESET';

  constructor(scene: Scene, type: Type, handle: number) {
    this.#scene = scene;
    this.#type = type;
    this.#handle = handle;
  }

  async #modify(from: State, to: State, masks: Mask[], build = modifyQp): Promise<string> {
    const sgid = { isGlobal: 1, sgidIndex: 0 };
    const command = build(this.#scene, {
      qpHandle: this.#handle,
      attrMask: bitsOf(masks) >>> 0,
      qpState: QpState[to],
      curQpState: QpState[from],
      ...(this.#type === 'RAW' && { dest: path(sgid), altDest: path(sgid) }),
    });
    const came = outcome(await this.#scene.door.command(this.#scene.fd, command));
    return typeof came === 'number' ? 'ok' : came;
  }

  /** Brings the QP to a state, unless it is there. */
  async goTo(state: Exclude<State, 'SQE'>): Promise<void> {
    if (this.#state === state) return;
    let at: State = 'RESET';
    await this.#modify(at, 'RESET', []);
    for (const next of ROUTES[state]) {
      const came = await this.#modify(at, next, transition(this.#type, at, next)?.required ?? []);
      if (came !== 'ok') throw new Error(`${this.#type} from ${at} to ${next}: ${came}`);
      at = next;
    }
    this.#state = state;
  }

  async attempt(from: Exclude<State, 'SQE'>, to: State, masks: Mask[]): Promise<string> {
    await this.goTo(from);
    const came = await this.#modify(from, to, masks, masks.includes('RATE') ? exModifyQp : modifyQp);
    if (came === 'ok') this.#state = undefined;
    return came;
  }
}

const REACHABLE = Object.keys(ROUTES) as Exclude<State, 'SQE'>[];

async function machineOf(t: Test, type: Type): Promise<Machine> {
  const stage = new Stage(t, daemon, type === 'RAW' ? { device: 1, ethernet: true } : {});
  const scene = await stage.scene();
  const command = type === 'XT' ? xrcTarget(scene) : { qpType: TYPES[type] };
  return new Machine(scene, type, await made(scene, createQp(scene, command)));
}

for (const type of ALL_TYPES) {
  t.test(type, async (t) => {
    const machine = await machineOf(t, type);
    for (const from of REACHABLE) {
      for (const to of ALL_STATES) {
        for (const [what, masks] of attempts(type, from, to)) {
          const came = await machine.attempt(from, to, masks);
          t.equal(came, expected(type, from, to, masks), `${from} to ${to} ${what}`);
        }
      }
    }
  });
}

t.test('from SQE, and to it', async (t) => {
  for (const type of ALL_TYPES) {
    for (const to of ALL_STATES) {
      for (const [what, masks] of attempts(type, 'SQE', to)) {
        const found = transition(type, 'SQE', to);
        const known = [...(found?.required ?? []), ...(found?.optional ?? [])];
        const isAllowed = found !== undefined && masks.every((mask) => known.includes(mask));
        const came = isTransitionAllowed(TYPES[type], QpState.SQE, QpState[to], bitsOf(masks));
        t.equal(came, isAllowed, `${type} to ${to} ${what}`);
      }
    }
  }
});
