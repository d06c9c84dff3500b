/** What exists on a device and whose it is, in the manner of `rdma resource`. */
import type { UverbsFile } from './file.js';
import type { Uobject } from './uobject.js';

export interface Resource {
  /** Name of the object type ("QP"); a context is "context". */
  type: string;
  /** The client's number, or its descriptor; -1 for a context. */
  handle: number;
  /** Who owns it. */
  pid: number;
  comm: string;
  /** What there is to say of it. */
  attributes: Record<string, string | number>;
  /** What it refers to, as "PD 0". */
  refersTo: string[];
}

/** All objects of these files, oldest first, each file's context before its objects. */
export function resourcesOf(files: Iterable<UverbsFile>): Resource[] {
  return [...files].filter((file) => file.hasContext).flatMap(resourcesOfFile);
}

function resourcesOfFile(file: UverbsFile): Resource[] {
  const { pid, comm } = file.process;
  const uobjects = [...file.uobjects.newestFirst()].reverse();
  const names = new Map(uobjects.map((uobject) => [coreOf(uobject), nameOf(uobject)]));
  const rows = uobjects.map(
    (uobject): Resource => ({
      type: uobject.type.name,
      handle: uobject.handle,
      pid,
      comm,
      attributes: uobject.type.describe?.(uobject.object) ?? {},
      refersTo: distinctNames(uobject.type.refersTo?.(uobject.object) ?? [], names),
    }),
  );
  const context = {
    type: 'context',
    handle: -1,
    pid,
    comm,
    attributes: { objects: rows.length },
    refersTo: [],
  };
  return [context, ...rows];
}

function coreOf({ type, object }: Uobject): unknown {
  return type.core?.(object) ?? object;
}

function nameOf({ type, handle }: Uobject): string {
  return `${type.name} ${handle}`;
}

function distinctNames(objects: unknown[], names: ReadonlyMap<unknown, string>): string[] {
  return [...new Set(objects.map((object) => names.get(object)).filter((name) => name !== undefined))];
}
