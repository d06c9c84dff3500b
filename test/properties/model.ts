/**
 * What a client may expect of a device's open files, without the device: which handles there are, what refers to what,
 * and in which state the QPs are. Rules that an answer depends on throw `Refused`, with nothing changed.
 */
import type { State, Type } from './qp-legality.js';

/** The error that the model expects. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export function refuseIf(condition: boolean, code: string): void {
  if (condition) throw new Refused(code);
}

/** As resources name them; `id` is UVERBS_OBJECT_*. */
export const KINDS = {
  PD: 1,
  CQ: 3,
  QP: 4,
  SRQ: 5,
  MR: 7,
  MW: 8,
  flow: 9,
  XRCD: 10,
  'RWQ indirection table': 11,
  WQ: 12,
} as const;
export type Kind = keyof typeof KINDS;

/** A QP behind its handles: an XRC target may have several, in several files. */
export interface Queue {
  type: Type;
  qpn: number;
  state: State;
  port: number;
  handles: number;
  /** "gid/lid" of each attachment. */
  attached: string[];
  /** GIDs that the adapter knows it by. */
  groups: Set<string>;
  /** The WQs that it spreads over. */
  wqs: Thing[] | undefined;
}

/** An object of a client. */
export interface Thing {
  readonly kind: Kind;
  readonly handle: number;
  /** What refers to it. */
  users: number;
  parents: Thing[];
  queue?: Queue;
  /** Of an XRC SRQ. */
  isXrc?: boolean;
  /** Of an XRC domain; handles with the same one share it. */
  domain?: Domain;
  wq?: { wqn: number; state: number; port: number; spread: number };
  cqe?: number;
  access?: number;
}

export interface Domain {
  inode: number | undefined;
  handles: number;
  targets: Map<number, Queue>;
}

export class ModelFile {
  readonly #model: Model;
  hasContext = false;
  /** Live objects, oldest first. */
  readonly things: Thing[] = [];
  /** Its event files by descriptor. */
  readonly eventFiles = new Map<number, 'async' | 'channel'>();

  constructor(model: Model) {
    this.#model = model;
  }

  ofKind(kind: Kind): Thing[] {
    return this.things.filter((thing) => thing.kind === kind);
  }

  get lowestFree(): number {
    const taken = new Set(this.things.map(({ handle }) => handle));
    let lowest = 0;
    while (taken.has(lowest)) lowest++;
    return lowest;
  }

  needContext(): void {
    refuseIf(this.#model.removed, 'EIO');
    refuseIf(!this.hasContext, 'EINVAL');
  }

  /** An object for use. */
  find(kind: Kind, handle: number): Thing {
    const thing = this.#named(kind, handle);
    refuseIf(this.#model.removed, 'EIO');
    return thing;
  }

  /** A parent whose lookup fails with EINVAL, whatever the reason. */
  findXrcd(handle: number): Thing {
    try {
      return this.find('XRCD', handle);
    } catch {
      throw new Refused('EINVAL');
    }
  }

  /** An object to be destroyed. */
  findUnused(kind: Kind, handle: number): Thing {
    const thing = this.#named(kind, handle);
    if (this.#model.removed) return thing;
    refuseIf(thing.users > 0 || (thing.queue?.attached.length ?? 0) > 0, 'EBUSY');
    return thing;
  }

  #named(kind: Kind, handle: number): Thing {
    const thing = this.things.find((other) => other.handle === handle);
    if (thing === undefined) throw new Refused('ENOENT');
    refuseIf(thing.kind !== kind, 'EINVAL');
    return thing;
  }

  add(kind: Kind, parents: Thing[], rest: Partial<Thing> = {}): Thing {
    const thing: Thing = { kind, handle: this.lowestFree, users: 0, parents, ...rest };
    for (const parent of parents) parent.users++;
    this.things.push(thing);
    return thing;
  }

  remove(thing: Thing): void {
    this.things.splice(this.things.indexOf(thing), 1);
    if (this.#model.removed) return;
    for (const parent of thing.parents) parent.users--;
    if (thing.kind === 'XRCD' && thing.domain !== undefined) this.#model.leaveDomain(thing.domain);
    const { queue } = thing;
    if (queue === undefined || --queue.handles > 0) return;
    for (const parent of thing.parents) parent.domain?.targets.delete(queue.qpn);
    if (queue.state !== 'RESET') for (const { wq } of queue.wqs ?? []) if (wq !== undefined) wq.spread--;
  }

  /** The same as the simulator's list of resources shows. */
  *resources(): Iterable<string> {
    if (!this.hasContext || this.#model.removed) return;
    for (const { kind, handle, users, queue, wq, cqe } of this.things) {
      const state = queue?.state ?? (wq && ['RESET', 'RDY', 'ERR'][wq.state]);
      const shown = queue?.type === 'XT' ? queue.handles : users;
      const counted = kind !== 'MR' && kind !== 'MW' && kind !== 'flow';
      yield [
        `${kind} ${handle}`,
        ...(counted ? [`users=${shown}`] : []),
        ...(state === undefined ? [] : [state]),
        ...(cqe === undefined ? [] : [`cqe=${cqe}`]),
      ].join(' ');
    }
  }
}

/** One device. */
export class Model {
  removed = false;
  readonly #shared = new Map<number, Domain>();

  domain(inode: number): Domain | undefined {
    return this.#shared.get(inode);
  }

  newDomain(inode: number | undefined): Domain {
    const domain = { inode, handles: 0, targets: new Map<number, Queue>() };
    if (inode !== undefined) this.#shared.set(inode, domain);
    return domain;
  }

  leaveDomain(domain: Domain): void {
    if (--domain.handles === 0 && domain.inode !== undefined) this.#shared.delete(domain.inode);
  }

  /** Everything in a file goes, newest first; what others still use stays with them. */
  close(file: ModelFile): void {
    for (const thing of file.things.toReversed()) file.remove(thing);
  }
}
